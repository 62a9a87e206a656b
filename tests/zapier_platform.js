// What Zapier does with an integration, as far as docs/zapier goes: argv is its file, stdin {authData, inputData,
// targetUrl}, stdout what subscribing, listing and unsubscribing twice returned.
const [, , path] = process.argv;
const app = require(path);
const given = JSON.parse(require("fs").readFileSync(0));
const { operation } = app.triggers.video;

const z = {
  async request({ url, method = "GET", params, body }) {
    const request = { method, headers: {} };
    app.beforeRequest.forEach((change) => change(request, z, given));
    if (body) Object.assign(request, { body: JSON.stringify(body) }).headers["Content-Type"] = "application/json";
    const answer = await fetch(params ? `${url}?${new URLSearchParams(params)}` : url, request);
    if (answer.status >= 400) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
    return { status: answer.status, data: answer.status === 204 ? null : await answer.json() };
  },
};

(async () => {
  const tested = (await app.authentication.test(z, given)).status;
  const subscribeData = await operation.performSubscribe(z, given);
  const listed = await operation.performList(z, given);
  for (const _ of [1, 2]) await operation.performUnsubscribe(z, { ...given, subscribeData });
  const [performed] = operation.perform(z, { ...given, cleanedRequest: listed[0] });
  process.stdout.write(JSON.stringify({ tested, subscribeData, listed, performed, sample: operation.sample }));
})();
