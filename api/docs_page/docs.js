// Shows the app's own OpenAPI document in Swagger UI, and sends what a person tries with the function key.

import { json, sendWithKey } from "../monitor/api.js";
import { KeyQuestion } from "../monitor/key_question.js";
import { html, render } from "../monitor/lib.js";

const nothing = () => () => null;

/** Swagger UI could keep a key too, and would put one of the query into URLs: this page asks for it instead. */
const withoutKeys = { wrapComponents: { authorizeBtn: nothing, authorizeOperationBtn: nothing } };

/** In the copy that is sent alone: what Swagger UI shows of a request has no key. */
function withKey(request) {
  request.userFetch = sendWithKey;
  return request;
}

async function show() {
  const main = document.getElementById("api");
  let spec;
  try {
    spec = await json("/openapi.json");
  } catch (error) {
    main.textContent = `The document cannot be read: ${error.message}`;
    return;
  }
  main.textContent = "";
  globalThis.SwaggerUIBundle({
    domNode: main,
    spec,
    plugins: [withoutKeys],
    requestInterceptor: withKey,
    validatorUrl: null, // a service of others
    queryConfigEnabled: false, // a link must not change where requests go
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
  });
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();
render(html`<${KeyQuestion} />`, document.getElementById("question"));
show();
