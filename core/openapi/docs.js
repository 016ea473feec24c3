// SPDX-License-Identifier: Apache-2.0
// Shows the OpenAPI document of this daemon. Everything it says goes in as text, never as markup.

// `code` is the only markup that the document's texts have.
function prose(text) {
    return text.split("\n\n").map(paragraph => make("p", {}, ...paragraph.split("`").map(
        (piece, index) => index % 2 ? make("code", {}, piece) : piece)));
}

function resolve(api, value) {
    return value && value.$ref ? value.$ref.slice(2).split("/").reduce((at, key) => at[key], api) : value;
}

function typeOf(api, schema) {
    const real = resolve(api, schema);
    if ("const" in real)
        return JSON.stringify(real.const);
    if (real.enum)
        return real.enum.map(item => JSON.stringify(item)).join(" | ");
    if (real.anyOf && !real.type)
        return real.anyOf.map(option => typeOf(api, option)).join(" | ");
    if (real.type === "array")
        return `array of ${real.items ? typeOf(api, real.items) : "anything"}`;
    const bounds = ["minimum", "maximum", "maxLength", "default"].filter(key => key in real && real[key] !== 0);
    return [[real.type || "anything"].flat().join(" | "), ...bounds.map(key => `${key} ${real[key]}`)].join(", ");
}

function field(api, name, schema, required) {
    const text = resolve(api, schema).description;
    return [make("dt", {}, make("code", {}, name), " ", make("span", {class: "type"}, typeOf(api, schema)),
        required ? "" : make("span", {class: "soft"}, " (optional)")),
        make("dd", {}, ...(text ? prose(text) : []), ...fields(api, schema))];
}

// The members of an object, or of what an array holds; none for other types.
function fields(api, schema) {
    const real = resolve(api, schema);
    if (real.type === "array")
        return real.items ? fields(api, real.items) : [];
    const members = Object.entries(real.properties || {});
    if (real.additionalProperties && real.additionalProperties.type)
        members.push(["…", real.additionalProperties]);
    if (!members.length)
        return [];
    return [make("dl", {}, ...members.flatMap(
        ([name, member]) => field(api, name, member, (real.required || []).includes(name) || name === "…")))];
}

function parameters(api, list) {
    return list.length ? [make("h4", {}, "Parameters"), make("dl", {}, ...list.map(item => resolve(api, item)).flatMap(
        item => field(api, item.name, {...item.schema, description: item.description}, item.required)))] : [];
}

function body(api, request) {
    if (!request)
        return [];
    const [type, content] = Object.entries(request.content)[0];
    const heading = make("h4", {}, `Body: ${type}${request.required ? "" : ", or none"}`);
    const text = resolve(api, content.schema).description;
    return [heading, ...(text ? prose(text) : []), ...fields(api, content.schema)];
}

function response(api, status, value) {
    const real = resolve(api, value);
    const [type, content] = Object.entries(real.content || {})[0] || ["no body", null];
    const shown = content ? fields(api, content.schema) : [];
    const head = [make("code", {}, status), " ", real.description, " ", make("span", {class: "type"}, type)];
    return shown.length ? make("details", status === "200" ? {open: ""} : {}, make("summary", {}, ...head), ...shown)
        : make("p", {}, ...head);
}

function operation(api, path, method, value) {
    const open = value.security && !value.security.length;
    return make("article", {id: value.operationId},
        make("h3", {}, make("span", {class: "method"}, method.toUpperCase()), " ", make("span", {class: "path"}, path)),
        ...prose(value.summary), ...(value.description ? prose(value.description) : []),
        make("p", {class: "soft"}, open ? "Open to everybody." : "Guarded: token, or a client on the same machine."),
        ...parameters(api, value.parameters || []), ...body(api, value.requestBody),
        make("h4", {}, "Replies"), ...Object.entries(value.responses).map(([status, item]) => response(api, status, item)));
}

function show(api) {
    const all = Object.entries(api.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, value]) => ({path, method, value})));
    $("title").textContent = `${api.info.title} ${api.info.version}: API`;
    $("summary").before(...prose(api.info.description));
    $("contents").append(make("ul", {}, ...all.map(item => make("li", {},
        make("a", {href: `#${item.value.operationId}`}, `${item.method.toUpperCase()} ${item.path}`)))));
    $("main").append(...api.tags.map(tag => make("section", {}, make("h2", {}, tag.name),
        ...prose(tag.description), ...all.filter(item => item.value.tags[0] === tag.name).map(
            item => operation(api, item.path, item.method, item.value)))));
    if (location.hash)
        $(location.hash.slice(1))?.scrollIntoView();
}

fetch("/v2/docs/openapi.json").then(reply => reply.json()).then(show).catch(error =>
    $("main").append(`The document cannot be shown: ${error.message}`));
