// SPDX-License-Identifier: Apache-2.0
// How the daemon's pages find and make elements: the first script of each of them. Text goes in as text, never as markup.

const $ = (id) => document.getElementById(id);

// make("p", {class: "x"}, "text", child, ...)
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
