// The question for the function key, of the monitor and of the page to try the API.

import { prompt } from "./api.js";
import { html, useEffect, useState } from "./lib.js";
import { Dialog } from "./parts.js";

/** Asks for the function key when a route wants one. It stays in this tab until it is closed. */
export function KeyQuestion() {
  const [question, setQuestion] = useState(null);
  useEffect(() => {
    prompt.ask = (wasRefused) => new Promise((resolve) => setQuestion({ wasRefused, resolve }));
  }, []);
  if (!question) return null;
  const onSubmit = (event) => {
    event.preventDefault();
    setQuestion(null);
    question.resolve(new FormData(event.target).get("key").trim());
  };
  const askAgain = () => setQuestion({ ...question, turn: (question.turn ?? 0) + 1 });
  return html`<${Dialog} key=${question.turn} title="Function key" onClose=${askAgain}>
    <form onSubmit=${onSubmit}>
      <p>${question.wasRefused ? "The app refuses this key." : "The app asks for a function key."} This tab keeps it until it is closed.</p>
      <label>Key
        <input name="key" type="password" autocomplete="off" required autofocus pattern="[!-~]+" title="letters, digits and signs of ASCII" />
      </label>
      <div class="dialog-buttons"><button class="primary">Continue</button></div>
    </form>
  <//>`;
}
