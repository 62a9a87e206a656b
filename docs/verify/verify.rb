# Verify an event of Reelhook (Standard Webhooks v1) with the standard library alone.
require "openssl"

TOLERANCE_S = 300

# body: the bytes as they were received, before anything parses them.
def verify(secret, id, timestamp, signatures, body)
  return false unless timestamp.match?(/\A[0-9]{1,11}\z/)
  return false if (Time.now.to_i - timestamp.to_i).abs > TOLERANCE_S

  key = secret.delete_prefix("whsec_").unpack1("m")
  digest = OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{timestamp}.".b + body.b)
  expected = "v1," + [digest].pack("m0")
  signatures.split(" ").any? { |each| OpenSSL.secure_compare(expected, each) }
end

# By hand: ruby verify.rb < body
if $PROGRAM_NAME == __FILE__
  values = %w[SECRET ID TIMESTAMP SIGNATURE].map { |name| ENV.fetch("WEBHOOK_#{name}") }
  exit verify(*values, $stdin.binmode.read)
end
