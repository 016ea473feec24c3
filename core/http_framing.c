// SPDX-License-Identifier: Apache-2.0
// The rules of RFC 9112 sections 3.2 and 6, without the leniency they permit: whatever two parsers might read in two
// ways is refused. Pure.
#include "http_framing.h"

#include <string.h>
#include <strings.h>

static bool equals(struct bfr_span value, const char *text)
{
    return value.size == strlen(text) && strncasecmp((const char *)value.data, text, value.size) == 0;
}

bool bfr_list_has(const char *list, size_t size, const char *token)
{
    size_t token_size = strlen(token);
    const char *end = list + size;
    while (list < end) {
        while (list < end && (*list == ' ' || *list == '\t' || *list == ','))
            list++;
        const char *start = list;
        while (list < end && *list != ',' && *list != ' ' && *list != '\t')
            list++;
        if ((size_t)(list - start) == token_size && strncasecmp(start, token, token_size) == 0)
            return true;
    }
    return false;
}

static bool splits_host(uint8_t c)
{
    static const bool splits[0x7f] = {['/'] = true, ['\\'] = true, ['?'] = true, ['#'] = true, ['@'] = true,
                                      [','] = true, ['"'] = true,  ['<'] = true, ['>'] = true};
    return c <= ' ' || c >= sizeof splits || splits[c];
}

// Not the whole grammar of RFC 3986, but nothing that could be taken for a path, a user or a second host.
static enum bfr_refusal check_host(const struct bfr_gate *gate)
{
    unsigned count = gate->known[BFR_HEADER_HOST].count;
    if (count == 0)
        return gate->http10 ? BFR_REFUSE_NONE : BFR_REFUSE_HOST;
    if (count > 1)
        return BFR_REFUSE_HOST;
    struct bfr_span host = bfr_gate_value(gate, BFR_HEADER_HOST);
    for (size_t i = 0; i < host.size; i++)
        if (splits_host(host.data[i]))
            return BFR_REFUSE_HOST;
    return BFR_REFUSE_NONE;
}

// A number too large for 64 bits becomes the largest one: it is well-formed, and too large for any limit.
static bool parse_length(struct bfr_span value, uint64_t *out)
{
    uint64_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        unsigned digit = value.data[i] - '0';
        length = length > (UINT64_MAX - digit) / 10 ? UINT64_MAX : length * 10 + digit;
    }
    *out = length;
    return value.size > 0;
}

static enum bfr_refusal decide_length(struct bfr_gate *gate)
{
    unsigned lengths = gate->known[BFR_HEADER_CONTENT_LENGTH].count;
    unsigned codings = gate->known[BFR_HEADER_TRANSFER_ENCODING].count;
    if (lengths > 0 && codings > 0)
        return BFR_REFUSE_LENGTH_CONFLICT;
    if (codings > 0) {
        // RFC 9112 section 6.1: a coding in an HTTP/1.0 message means that someone on the way did not understand it.
        if (codings > 1 || gate->http10 || !equals(bfr_gate_value(gate, BFR_HEADER_TRANSFER_ENCODING), "chunked"))
            return BFR_REFUSE_TRANSFER_ENCODING;
        gate->chunked = true;
        return BFR_REFUSE_NONE;
    }
    if (lengths == 0)
        return BFR_REFUSE_NONE;
    if (lengths > 1 || !parse_length(bfr_gate_value(gate, BFR_HEADER_CONTENT_LENGTH), &gate->length))
        return BFR_REFUSE_CONTENT_LENGTH;
    gate->body_left = gate->length;
    return BFR_REFUSE_NONE;
}

enum bfr_refusal bfr_framing_decide(struct bfr_gate *gate)
{
    enum bfr_refusal refusal = check_host(gate);
    if (refusal == BFR_REFUSE_NONE)
        refusal = decide_length(gate);
    if (refusal != BFR_REFUSE_NONE)
        return refusal;
    if (gate->method != BFR_METHOD_POST && (gate->chunked || gate->length > 0))
        return BFR_REFUSE_BODY_NOT_ALLOWED;
    gate->close |= gate->http10;
    gate->expect_continue = !gate->http10 && gate->known[BFR_HEADER_EXPECT].count == 1 &&
                            equals(bfr_gate_value(gate, BFR_HEADER_EXPECT), "100-continue");
    return BFR_REFUSE_NONE;
}
