// SPDX-License-Identifier: Apache-2.0
// The gate's states. Lines are collected until their LF and then judged whole, which is what makes the outcome independent
// of how the bytes arrive. Runs on the loop that owns the connection; allocates only for a head above BFR_GATE_INLINE.
#include "http_gate.h"

#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "http_framing.h"

enum state {
    REQUEST_LINE = 1,
    FIELDS,
    BODY,       // Content-Length: body_left bytes to come
    CHUNK_SIZE, // hexadecimal digits
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILERS,
    COMPLETE,
    BROKEN
};

// What a byte may be part of: RFC 9110 sections 5.6.2 (token) and 5.5 (field value), RFC 9112 section 3.2.1 (target: what is
// visible, and no fragment).
#define TOKEN  1
#define VALUE  2
#define TARGET 4

// clang-format off
static const unsigned char char_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, // 00
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 10
    2, 7, 6, 3, 7, 7, 7, 7, 6, 6, 7, 7, 6, 7, 7, 6, // 20
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, // 30
    6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 40
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 7, 7, // 50
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 60
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 7, 6, 7, 0, // 70
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, // 80
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, // 90
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, // A0
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, // B0
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, // C0
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, // D0
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, // E0
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, // F0
};
// clang-format on

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

void bfr_gate_begin(struct bfr_gate *gate)
{
    // Not `room`: it is large and needs no initial value.
    memset(gate, 0, offsetof(struct bfr_gate, room));
    gate->state = REQUEST_LINE;
    gate->head = gate->room;
    gate->head_room = sizeof gate->room;
}

void bfr_gate_end(struct bfr_gate *gate)
{
    if (gate->head != gate->room)
        free(gate->head);
    gate->head = gate->room;
    gate->head_room = sizeof gate->room;
    gate->state = BROKEN;
}

static enum bfr_refusal append(struct bfr_gate *gate, const uint8_t *data, size_t size)
{
    if (size > BFR_GATE_HEAD_MAX - gate->head_size)
        return BFR_REFUSE_HEAD_SIZE;
    if (gate->head_size + size > gate->head_room) {
        uint32_t room = gate->head_room;
        while (room < gate->head_size + size)
            room *= 2;
        bool grown = gate->head != gate->room;
        char *head = realloc(grown ? gate->head : NULL, room);
        if (head == NULL)
            return BFR_REFUSE_MEMORY;
        if (!grown)
            memcpy(head, gate->room, gate->head_size);
        gate->head = head;
        gate->head_room = room;
    }
    memcpy(gate->head + gate->head_size, data, size);
    gate->head_size += (uint32_t)size;
    return BFR_REFUSE_NONE;
}

// The bytes that end a line or a string must not hide inside one (RFC 9112 section 2.2).
static enum bfr_refusal bad_byte(const char *text, size_t size, enum bfr_refusal otherwise)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\r' || text[i] == '\n' || text[i] == '\0')
            return BFR_REFUSE_LINE_END;
    return otherwise;
}

// How many bytes of that class there are. Method and target end with a blank, a line with a CR: these are neither token nor
// target, and a CR is no value either, so this ends there at the latest.
static size_t span_size(const char *text, unsigned char wanted)
{
    const char *at = text;
    while (char_class[(unsigned char)*at] & wanted)
        at++;
    return (size_t)(at - text);
}

static enum bfr_method find_method(const char *text, size_t size)
{
    if (size == 4 && memcmp(text, "POST", 4) == 0)
        return BFR_METHOD_POST;
    if (size == 3 && memcmp(text, "GET", 3) == 0)
        return BFR_METHOD_GET;
    if (size == 4 && memcmp(text, "HEAD", 4) == 0)
        return BFR_METHOD_HEAD;
    return BFR_METHOD_OTHER;
}

static enum bfr_refusal check_version(struct bfr_gate *gate, const char *text, size_t size)
{
    if (size != 8 || memcmp(text, "HTTP/", 5) != 0)
        return BFR_REFUSE_REQUEST_LINE;
    if (memcmp(text + 5, "1.1", 3) != 0 && memcmp(text + 5, "1.0", 3) != 0)
        return BFR_REFUSE_VERSION;
    gate->http10 = text[7] == '0';
    return BFR_REFUSE_NONE;
}

static enum bfr_refusal read_request_line(struct bfr_gate *gate, const char *line, size_t size)
{
    // RFC 9112 section 2.2: one empty line before the request line is ignored.
    if (size == 0 && !gate->blank_skipped) {
        gate->blank_skipped = true;
        gate->head_size = 0;
        return BFR_REFUSE_NONE;
    }
    const char *target = memchr(line, ' ', size);
    const char *version = memrchr(line, ' ', size);
    if (target == NULL || target == line || target == version)
        return bad_byte(line, size, BFR_REFUSE_REQUEST_LINE);
    size_t method_size = (size_t)(target++ - line);
    size_t target_size = (size_t)(version++ - target);
    size_t version_size = (size_t)(line + size - version);

    enum bfr_refusal refusal = BFR_REFUSE_NONE;
    if (span_size(line, TOKEN) != method_size)
        refusal = BFR_REFUSE_REQUEST_LINE;
    else if (target_size == 0 || target[0] != '/' || span_size(target, TARGET) != target_size)
        refusal = BFR_REFUSE_TARGET;
    if (refusal == BFR_REFUSE_NONE)
        refusal = check_version(gate, version, version_size);
    if (refusal != BFR_REFUSE_NONE)
        return bad_byte(line, size, refusal);

    gate->method = find_method(line, method_size);
    gate->target.at = (uint16_t)(target - gate->head);
    gate->target.size = (uint16_t)target_size;
    gate->fields_at = gate->head_size;
    gate->state = FIELDS;
    return BFR_REFUSE_NONE;
}

static void note_field(struct bfr_gate *gate, const char *name, size_t name_size, const char *value, size_t value_size)
{
    enum bfr_header header = bfr_header_find(name, name_size);
    if (header == BFR_HEADER_CONNECTION && bfr_list_has(value, value_size, "close"))
        gate->close = true;
    if (header == BFR_HEADER_OTHER || gate->known[header].count++ > 0)
        return;
    gate->known[header].value.at = (uint16_t)(value - gate->head);
    gate->known[header].value.size = (uint16_t)value_size;
}

static enum bfr_refusal read_field(struct bfr_gate *gate, const char *line, size_t size)
{
    if (is_blank(line[0]))
        return BFR_REFUSE_OBS_FOLD;
    if (++gate->field_count > BFR_GATE_FIELDS_MAX)
        return BFR_REFUSE_FIELD_COUNT;
    size_t name_size = span_size(line, TOKEN);
    if (name_size == 0 || line[name_size] != ':')
        return bad_byte(line, size, BFR_REFUSE_FIELD);

    const char *value = line + name_size + 1;
    const char *end = line + size;
    if (value + span_size(value, VALUE) != end)
        return bad_byte(line, size, BFR_REFUSE_FIELD);
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    if (gate->state == FIELDS) // trailers are checked for syntax and forgotten: nothing we decide on may come late
        note_field(gate, line, name_size, value, (size_t)(end - value));
    return BFR_REFUSE_NONE;
}

static enum bfr_refusal finish_fields(struct bfr_gate *gate)
{
    if (gate->state == TRAILERS) {
        gate->state = COMPLETE;
        return BFR_REFUSE_NONE;
    }
    gate->state = BODY;
    enum bfr_refusal refusal = bfr_framing_decide(gate);
    if (gate->chunked)
        gate->state = CHUNK_SIZE;
    return refusal;
}

// The line from line_start to the LF just appended.
static enum bfr_refusal read_line(struct bfr_gate *gate)
{
    const char *line = gate->head + gate->line_start;
    size_t size = gate->head_size - gate->line_start - 1;
    if (size == 0 || line[size - 1] != '\r')
        return BFR_REFUSE_LINE_END;
    size--;
    enum bfr_refusal refusal;
    if (gate->state == REQUEST_LINE)
        refusal = read_request_line(gate, line, size);
    else if (size == 0)
        refusal = finish_fields(gate);
    else
        refusal = read_field(gate, line, size);
    gate->line_start = gate->head_size;
    return refusal;
}

// Collect up to the end of one line and judge it.
static enum bfr_refusal feed_line(struct bfr_gate *gate, const uint8_t *data, size_t size, size_t *used)
{
    const uint8_t *lf = memchr(data + *used, '\n', size - *used);
    size_t piece = lf != NULL ? (size_t)(lf - data) + 1 - *used : size - *used;
    enum bfr_refusal refusal = append(gate, data + *used, piece);
    if (refusal != BFR_REFUSE_NONE)
        return refusal;
    *used += piece;
    return lf != NULL ? read_line(gate) : BFR_REFUSE_NONE;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum bfr_refusal feed_chunk_size(struct bfr_gate *gate, uint8_t c)
{
    int digit = hex_digit(c);
    if (digit >= 0) {
        if (++gate->chunk_digits > 15) // 60 bits: nothing near this size is ever accepted, and nothing can overflow
            return BFR_REFUSE_CHUNK;
        gate->body_left = gate->body_left * 16 + (unsigned)digit;
        return BFR_REFUSE_NONE;
    }
    if (c != '\r' || gate->chunk_digits == 0)
        return BFR_REFUSE_CHUNK;
    gate->state = CHUNK_SIZE_LF;
    return BFR_REFUSE_NONE;
}

// One byte of what surrounds the chunks' data.
static enum bfr_refusal feed_chunk_byte(struct bfr_gate *gate, uint8_t c)
{
    switch (gate->state) {
    case CHUNK_SIZE:
        return feed_chunk_size(gate, c);
    case CHUNK_SIZE_LF:
        gate->state = gate->body_left > 0 ? CHUNK_DATA : TRAILERS;
        return c == '\n' ? BFR_REFUSE_NONE : BFR_REFUSE_CHUNK;
    case CHUNK_DATA_CR:
        gate->state = CHUNK_DATA_LF;
        return c == '\r' ? BFR_REFUSE_NONE : BFR_REFUSE_CHUNK;
    default:
        gate->state = CHUNK_SIZE;
        gate->chunk_digits = 0;
        return c == '\n' ? BFR_REFUSE_NONE : BFR_REFUSE_CHUNK;
    }
}

// The events that need no further byte.
static bool settled(struct bfr_gate *gate, enum bfr_gate_event *out)
{
    if (gate->state == BODY && gate->body_left == 0)
        gate->state = COMPLETE;
    if (gate->state == BODY || gate->state == CHUNK_DATA)
        *out = BFR_GATE_BODY;
    else if (gate->state == COMPLETE)
        *out = BFR_GATE_END;
    else if (gate->state == BROKEN)
        *out = BFR_GATE_BAD;
    else
        return false;
    return true;
}

enum bfr_gate_event bfr_gate_feed(struct bfr_gate *gate, const uint8_t *data, size_t size, size_t *out_used)
{
    size_t used = 0;
    enum bfr_gate_event event = BFR_GATE_MORE;
    while (!settled(gate, &event) && used < size) {
        bool in_head = gate->state == REQUEST_LINE || gate->state == FIELDS;
        if (in_head || gate->state == TRAILERS)
            gate->refusal = feed_line(gate, data, size, &used);
        else
            gate->refusal = feed_chunk_byte(gate, data[used++]);
        if (gate->refusal != BFR_REFUSE_NONE) {
            gate->state = BROKEN;
            event = BFR_GATE_BAD;
            break;
        }
        if (in_head && gate->state != REQUEST_LINE && gate->state != FIELDS) {
            event = BFR_GATE_HEAD;
            break;
        }
    }
    *out_used = used;
    return event;
}

void bfr_gate_take(struct bfr_gate *gate, uint64_t bytes)
{
    bfr_must((gate->state == BODY || gate->state == CHUNK_DATA) && bytes <= gate->body_left);
    gate->body_left -= bytes;
    if (gate->state == CHUNK_DATA && gate->body_left == 0)
        gate->state = CHUNK_DATA_CR;
}

static struct bfr_span span_of(const struct bfr_gate *gate, struct bfr_gate_part part)
{
    return (struct bfr_span){(const uint8_t *)gate->head + part.at, part.size};
}

struct bfr_span bfr_gate_target(const struct bfr_gate *gate)
{
    return span_of(gate, gate->target);
}

struct bfr_span bfr_gate_value(const struct bfr_gate *gate, enum bfr_header header)
{
    if (gate->known[header].count == 0)
        return (struct bfr_span){NULL, 0};
    return span_of(gate, gate->known[header].value);
}

// A NUL that bfr_gate_text has put behind a value counts as a blank here.
static struct bfr_span trim(const char *value, const char *end)
{
    while (value < end && is_blank(*value))
        value++;
    while (end > value && (is_blank(end[-1]) || end[-1] == '\r' || end[-1] == '\0'))
        end--;
    return (struct bfr_span){(const uint8_t *)value, (size_t)(end - value)};
}

bool bfr_gate_next(const struct bfr_gate *gate, enum bfr_header header, uint32_t *cursor, struct bfr_span *out)
{
    const char *end = gate->head + gate->head_size;
    for (const char *line = gate->head + gate->fields_at + *cursor; line < end;) {
        const char *lf = memchr(line, '\n', (size_t)(end - line));
        const char *colon = lf != NULL ? memchr(line, ':', (size_t)(lf - line)) : NULL;
        if (colon == NULL) // the empty line
            return false;
        *cursor = (uint32_t)(lf + 1 - gate->head) - gate->fields_at;
        if (bfr_header_find(line, (size_t)(colon - line)) == header) {
            *out = trim(colon + 1, lf);
            return true;
        }
        line = lf + 1;
    }
    return false;
}

const char *bfr_gate_text(struct bfr_gate *gate, enum bfr_header header)
{
    if (gate->known[header].count == 0)
        return NULL;
    char *text = gate->head + gate->known[header].value.at;
    text[gate->known[header].value.size] = '\0';
    return text;
}
