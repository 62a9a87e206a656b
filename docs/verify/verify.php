<?php
// Verify an event of Reelhook (Standard Webhooks v1) with what PHP brings along.

const TOLERANCE_S = 300;

// $body: the bytes as they were received: file_get_contents('php://input')
function verify(string $secret, string $id, string $timestamp, string $signatures, string $body): bool
{
    if (!preg_match('/^[0-9]{1,11}$/D', $timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_S) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    if ($key === false) {
        return false;
    }
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $signatures) as $each) {
        if (hash_equals($expected, $each)) {
            return true;
        }
    }
    return false;
}

// By hand: php verify.php < body
[$secret, $id, $timestamp, $signatures] = array_map('getenv', ['WEBHOOK_SECRET', 'WEBHOOK_ID', 'WEBHOOK_TIMESTAMP', 'WEBHOOK_SIGNATURE']);
exit(verify($secret, $id, $timestamp, $signatures, file_get_contents('php://stdin')) ? 0 : 1);
