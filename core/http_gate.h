// SPDX-License-Identifier: Apache-2.0
// The gate: a strict, incremental reader of one HTTP/1.1 request's head and framing (RFC 9112). Bytes in, events out; it
// knows no socket and no library. The outcome does not depend on how the bytes were split. See docs/gate.md.
//
//     bfr_gate_begin(&gate);
//     while (...)
//         switch (bfr_gate_feed(&gate, data, size, &used))   // may be called with size 0
//             MORE  the `used` bytes are eaten, give it more
//             HEAD  the head is complete: decide, then go on feeding
//             BODY  the next gate.body_left bytes are content: take any of them, tell with bfr_gate_take, feed the rest
//             END   the message is complete; bytes after it are somebody else's
//             BAD   gate.refusal says why; the connection cannot be trusted any more
#ifndef BFR_CORE_HTTP_GATE_H
#define BFR_CORE_HTTP_GATE_H

#include <bfr/batch.h> // struct bfr_span

#include "http_header.h"
#include "http_refusal.h"

#define BFR_GATE_HEAD_MAX   16384u // bytes of request line, fields and trailers together
#define BFR_GATE_FIELDS_MAX 100u
#define BFR_GATE_INLINE     1024u // a Proxy's head is about 600 bytes: no allocation for it

enum bfr_gate_event { BFR_GATE_MORE = 1, BFR_GATE_HEAD, BFR_GATE_BODY, BFR_GATE_END, BFR_GATE_BAD };

enum bfr_method { BFR_METHOD_GET = 1, BFR_METHOD_HEAD, BFR_METHOD_POST, BFR_METHOD_OTHER };

// A stretch of the head, by offset, because the head may move while it grows.
struct bfr_gate_part {
    uint16_t at;
    uint16_t size;
};

struct bfr_gate {
    uint32_t state; // internal
    enum bfr_refusal refusal;

    enum bfr_method method;
    bool http10;
    bool close;           // HTTP/1.0, or Connection: close
    bool expect_continue; // the sender waits for 100 Continue
    bool chunked;
    uint64_t length;    // declared; 0 when chunked or absent
    uint64_t body_left; // of the body, or of the present chunk; internal to feed and take
    struct bfr_gate_part target;

    struct {
        struct bfr_gate_part value; // of the first field of that name, blanks around it removed
        uint16_t count;
    } known[BFR_HEADER_COUNT];
    uint16_t field_count;

    uint32_t chunk_digits; // internal
    bool blank_skipped;    // internal
    uint32_t line_start;   // internal
    uint32_t fields_at;    // internal
    uint32_t head_size;
    uint32_t head_room;
    char *head; // `room` or from malloc
    char room[BFR_GATE_INLINE];
};

void bfr_gate_begin(struct bfr_gate *gate);
void bfr_gate_end(struct bfr_gate *gate); // frees a grown head; begin or nothing may follow

enum bfr_gate_event bfr_gate_feed(struct bfr_gate *gate, const uint8_t *data, size_t size, size_t *out_used);
void bfr_gate_take(struct bfr_gate *gate, uint64_t bytes); // at most body_left

// After HEAD. The spans are valid until the next feed.
struct bfr_span bfr_gate_target(const struct bfr_gate *gate);
// data NULL when absent; an empty value has size 0 and data.
struct bfr_span bfr_gate_value(const struct bfr_gate *gate, enum bfr_header header);
// Every field of that name, one after the other: true and its value, false when there is no more. *cursor begins as 0.
bool bfr_gate_next(const struct bfr_gate *gate, enum bfr_header header, uint32_t *cursor, struct bfr_span *out);
// The first as a string, or NULL. Terminates it in place, which is safe: what follows a value is never looked at again.
const char *bfr_gate_text(struct bfr_gate *gate, enum bfr_header header);

#endif
