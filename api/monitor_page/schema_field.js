// One field of a form that a JSON Schema describes, with its hint and what is wrong with it.

import { capital, number, pretty, words } from "./format.js";
import { html } from "./lib.js";

export function Field({ field, fault }) {
  const { name, kind, isNeeded } = field;
  const hint = [capital(field.hint), limits(field)].filter(Boolean).join(". ");
  const id = `field-${name}`;
  const told = [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(" ");
  const common = { id, name, "aria-describedby": told || undefined, "aria-invalid": fault ? "true" : undefined };
  const label = html`${capital(words(name))}${isNeeded ? html` <span class="quiet">(needed)</span>` : null}`;
  return html`<div class="field">
    ${kind === "boolean"
      ? html`<label class="check"><input type="checkbox" ...${common} defaultChecked=${field.initial === true} /> ${label}</label>`
      : html`<label for=${id}>${label}</label><${Input} field=${field} common=${common} />`}
    ${hint ? html`<p class="hint" id=${`${id}-hint`}>${hint}</p>` : null}
    ${fault ? html`<p class="field-error" id=${`${id}-fault`}>${capital(fault)}</p>` : null}
  </div>`;
}

function Input({ field, common }) {
  const { kind, choices, initial, isNeeded, isSecret } = field;
  const needed = { "aria-required": isNeeded ? "true" : undefined };
  if (kind === "choice") {
    return html`<select ...${common} ...${needed} defaultValue=${initial}>
      ${initial === undefined ? html`<option value=""></option>` : null}
      ${choices.map((each) => html`<option value=${each} selected=${each === initial}>${each}</option>`)}
    </select>`;
  }
  if (kind === "list") {
    const lines = (initial ?? []).join("\n");
    return html`<textarea rows="3" ...${common} ...${needed} defaultValue=${lines} placeholder="one a line"></textarea>`;
  }
  if (kind === "json") {
    const text = initial === undefined ? "" : pretty(initial);
    return html`<textarea rows="4" ...${common} ...${needed} defaultValue=${text} placeholder="JSON" spellcheck="false"></textarea>`;
  }
  const isNumber = kind === "integer" || kind === "number";
  return html`<input
    ...${common}
    ...${needed}
    type=${isSecret ? "password" : "text"}
    inputmode=${isNumber ? (kind === "integer" ? "numeric" : "decimal") : undefined}
    autocomplete="off"
    defaultValue=${initial}
  />`;
}

function limits({ least, most }) {
  if (least === undefined && most === undefined) return "";
  if (most === undefined) return `At least ${number(least)}`;
  if (least === undefined) return `At most ${number(most)}`;
  return `From ${number(least)} to ${number(most)}`;
}
