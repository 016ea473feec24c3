// SPDX-License-Identifier: Apache-2.0
// Content-Digest is a dictionary of RFC 8941 whose values are byte sequences. Parsed to the letter, because a field that is
// read generously protects nothing: the sender believes its bytes are checked. Pure.
#include "http_digest.h"

#include <string.h>

#include <openssl/evp.h>

// What is left of a field.
struct cursor {
    const char *at;
    const char *end;
};

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_base64(char c)
{
    return is_alpha(c) || is_digit(c) || c == '+' || c == '/';
}

// RFC 8941 section 3.3.4: a token's later characters.
static bool is_token(char c)
{
    return c != '\0' && (is_alpha(c) || is_digit(c) || strchr("!#$%&'*+-.^_`|~:/", c) != NULL);
}

static bool take(struct cursor *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static void skip_blanks(struct cursor *in)
{
    while (take(in, ' ') || take(in, '\t'))
        ;
}

// Section 4.2.3.3.
static bool take_key(struct cursor *in, struct bfr_span *out)
{
    const char *start = in->at;
    if (in->at == in->end || (!is_lower(*in->at) && *in->at != '*'))
        return false;
    while (in->at < in->end &&
           (is_lower(*in->at) || is_digit(*in->at) || (*in->at != '\0' && strchr("_-.*", *in->at) != NULL)))
        in->at++;
    *out = (struct bfr_span){(const uint8_t *)start, (size_t)(in->at - start)};
    return true;
}

// Section 4.2.7: colon, base64, colon. `out` is the text between them.
static bool take_bytes(struct cursor *in, struct bfr_span *out)
{
    if (!take(in, ':'))
        return false;
    const char *start = in->at;
    while (in->at < in->end && is_base64(*in->at))
        in->at++;
    size_t digits = (size_t)(in->at - start);
    size_t padding = 0;
    while (padding < 2 && take(in, '='))
        padding++;
    // Padding may be left out, but not half of it, and one digit alone is no byte.
    if (digits % 4 == 1 || (padding > 0 && (digits + padding) % 4 != 0))
        return false;
    *out = (struct bfr_span){(const uint8_t *)start, digits};
    return take(in, ':');
}

// Section 4.2.5.
static bool take_string(struct cursor *in)
{
    for (in->at++; in->at < in->end && *in->at != '"'; in->at++) {
        if (*in->at == '\\' && (++in->at == in->end || (*in->at != '"' && *in->at != '\\')))
            return false;
        if (*in->at < ' ' || *in->at > '~')
            return false;
    }
    return take(in, '"');
}

static size_t take_digits(struct cursor *in)
{
    const char *start = in->at;
    while (in->at < in->end && is_digit(*in->at))
        in->at++;
    return (size_t)(in->at - start);
}

// Section 4.2.4: an integer of at most 15 digits, or a decimal of at most 12 and 3.
static bool take_number(struct cursor *in)
{
    take(in, '-');
    size_t whole = take_digits(in);
    if (whole == 0 || whole > 15)
        return false;
    if (!take(in, '.'))
        return true;
    size_t fraction = take_digits(in);
    return whole <= 12 && fraction >= 1 && fraction <= 3;
}

// Section 4.2.3.1. Only the syntax counts.
static bool take_bare_item(struct cursor *in)
{
    struct bfr_span bytes;
    if (in->at == in->end)
        return false;
    if (*in->at == ':')
        return take_bytes(in, &bytes);
    if (*in->at == '"')
        return take_string(in);
    if (take(in, '?'))
        return take(in, '0') || take(in, '1');
    if (*in->at == '-' || is_digit(*in->at))
        return take_number(in);
    if (!is_alpha(*in->at) && *in->at != '*')
        return false;
    while (in->at < in->end && is_token(*in->at))
        in->at++;
    return true;
}

// Section 4.2.3.2. RFC 9530 defines none, so all are unknown and ignored.
static bool take_parameters(struct cursor *in)
{
    struct bfr_span key;
    while (take(in, ';')) {
        while (take(in, ' '))
            ;
        if (!take_key(in, &key) || (take(in, '=') && !take_bare_item(in)))
            return false;
    }
    return true;
}

// 32 bytes are 43 digits of base64.
static bool decode_sha256(struct bfr_span base64, uint8_t out[32])
{
    uint8_t text[44];
    uint8_t bytes[33];
    if (base64.size != 43)
        return false;
    memcpy(text, base64.data, 43);
    text[43] = '=';
    if (EVP_DecodeBlock(bytes, text, sizeof text) != sizeof bytes)
        return false;
    memcpy(out, bytes, 32);
    return true;
}

static bool take_member(struct cursor *in, struct bfr_stated_digest *out)
{
    static const char name[] = "sha-256";
    struct bfr_span key;
    struct bfr_span value;
    if (!take_key(in, &key) || !take(in, '=') || !take_bytes(in, &value) || !take_parameters(in))
        return false;
    if (key.size != sizeof name - 1 || memcmp(key.data, name, key.size) != 0)
        return true;
    out->stated = true;
    return decode_sha256(value, out->sha256);
}

bool bfr_digest_parse(struct bfr_span field, struct bfr_stated_digest *out)
{
    struct cursor in = {(const char *)field.data, (const char *)field.data + field.size};
    if (in.at == in.end) // an empty dictionary
        return true;
    do {
        skip_blanks(&in);
        if (!take_member(&in, out))
            return false;
        skip_blanks(&in);
    } while (take(&in, ','));
    return in.at == in.end;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(struct bfr_span text, uint8_t out[32])
{
    if (text.size != 64)
        return false;
    for (size_t i = 0; i < 32; i++) {
        int high = hex_value((char)text.data[2 * i]);
        int low = hex_value((char)text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

enum bfr_refusal bfr_digest_read(const struct bfr_gate *gate, struct bfr_stated_digest *out)
{
    uint32_t cursor = 0;
    struct bfr_span value;
    out->stated = false;
    // Several fields of this name are one dictionary (RFC 8941 section 4.2).
    while (gate->known[BFR_HEADER_CONTENT_DIGEST].count > 0 &&
           bfr_gate_next(gate, BFR_HEADER_CONTENT_DIGEST, &cursor, &value))
        if (!bfr_digest_parse(value, out))
            return BFR_REFUSE_DIGEST_FIELD;

    struct bfr_span hex = bfr_gate_value(gate, BFR_HEADER_CONTENT_SHA256);
    uint8_t sha256[32];
    if (hex.data == NULL)
        return BFR_REFUSE_NONE;
    if (!parse_hex(hex, sha256) || (out->stated && memcmp(sha256, out->sha256, sizeof sha256) != 0))
        return BFR_REFUSE_DIGEST_FIELD;
    out->stated = true;
    memcpy(out->sha256, sha256, sizeof sha256);
    return BFR_REFUSE_NONE;
}
