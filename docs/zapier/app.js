// A Zapier integration for Reelhook: one instant trigger, made of the REST hooks under /v1/hooks.
const api = (bundle, path) => `${bundle.authData.base_url.replace(/\/+$/, "")}/v1/${path}`;

const authentication = {
  type: "custom",
  fields: [
    { key: "base_url", label: "Reelhook URL", required: true, helpText: "Such as https://hooks.example.com" },
    { key: "api_key", label: "API key", required: true, type: "password", helpText: "From `reelhook keys create`." },
  ],
  test: (z, bundle) => z.request({ url: api(bundle, "gateways") }),
};

const withKey = (request, z, bundle) => {
  request.headers.Authorization = `Bearer ${bundle.authData.api_key}`;
  return request;
};

// What this returns is kept as bundle.subscribeData; its `id` ends the hook.
const performSubscribe = async (z, bundle) => {
  const body = { target_url: bundle.targetUrl, event: bundle.inputData.event, format: "flat" };
  return (await z.request({ method: "POST", url: api(bundle, "hooks"), body })).data;
};

const performUnsubscribe = async (z, bundle) => {
  await z.request({ method: "DELETE", url: api(bundle, `hooks/${bundle.subscribeData.id}`) });
  return {};
};

// Newest first, never empty, with the keys of what is posted later.
const performList = async (z, bundle) => {
  const params = { event: bundle.inputData.event, format: "flat" };
  return (await z.request({ url: api(bundle, "hooks/samples"), params })).data;
};

const video = {
  key: "video",
  noun: "Video",
  display: { label: "Video Finished", description: "Triggers when a video task has ended." },
  operation: {
    type: "hook",
    inputFields: [
      {
        key: "event",
        label: "When",
        required: true,
        default: "task.succeeded",
        choices: {
          "task.succeeded": "A video is ready",
          "task.failed": "A video has failed",
          "task.*": "Anything happens to a task",
        },
      },
    ],
    performSubscribe,
    performUnsubscribe,
    perform: (z, bundle) => [bundle.cleanedRequest],
    performList,
    sample: require("./sample.json"),
  },
};

module.exports = { authentication, beforeRequest: [withKey], triggers: { [video.key]: video } };
