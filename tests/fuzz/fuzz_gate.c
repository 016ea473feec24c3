// SPDX-License-Identifier: Apache-2.0
// The gate: any bytes, split anywhere, have the outcome they have in one piece, and everything it points at lies in the
// head. The first two bytes choose the splits.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "http_gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum bfr_gate_event last;
    enum bfr_refusal refusal;
    uint64_t body;
    uint64_t body_sum;
    size_t used;
    bool head;
    bool close;
};

static void check_head(struct bfr_gate *gate)
{
    bfr_must(gate->head_size <= BFR_GATE_HEAD_MAX && gate->field_count <= BFR_GATE_FIELDS_MAX);
    struct bfr_span target = bfr_gate_target(gate);
    bfr_must(target.size > 0 && target.data[0] == '/');
    for (unsigned i = BFR_HEADER_OTHER + 1; i < BFR_HEADER_COUNT; i++) {
        struct bfr_span value = bfr_gate_value(gate, i);
        bfr_must(value.size <= gate->head_size);
        bfr_must(memchr(value.size > 0 ? value.data : (const uint8_t *)"", '\n', value.size) == NULL);
        const char *text = bfr_gate_text(gate, i);
        bfr_must((text == NULL) == (value.data == NULL) && (text == NULL || strlen(text) == value.size));
    }
    bfr_must(!gate->chunked || gate->length == 0);
    bfr_must(gate->method == BFR_METHOD_POST || (!gate->chunked && gate->length == 0));
}

static void take(struct bfr_gate *gate, const uint8_t *data, size_t size, struct outcome *out)
{
    for (size_t i = 0; i < size; i++)
        out->body_sum = out->body_sum * 31 + data[i];
    out->body += size;
    bfr_gate_take(gate, size);
}

// One piece, in memory of exactly its size. False when the message is over.
static bool feed(struct bfr_gate *gate, const uint8_t *data, size_t size, struct outcome *out)
{
    uint8_t *piece = malloc(size + 1);
    bfr_must(piece != NULL);
    memcpy(piece, data, size);
    piece = realloc(piece, size > 0 ? size : 1);
    bfr_must(piece != NULL);
    size_t at = 0;
    do {
        size_t used = 0;
        out->last = bfr_gate_feed(gate, piece + at, size - at, &used);
        bfr_must(used <= size - at);
        at += used;
        if (out->last == BFR_GATE_HEAD) {
            out->head = true;
            out->close = gate->close;
            check_head(gate);
        }
        if (out->last == BFR_GATE_BODY) {
            size_t left = size - at < gate->body_left ? size - at : (size_t)gate->body_left;
            take(gate, piece + at, left, out);
            at += left;
            if (at == size)
                out->last = BFR_GATE_MORE;
        }
    } while (out->last == BFR_GATE_HEAD || out->last == BFR_GATE_BODY);
    out->used += at;
    free(piece);
    return out->last == BFR_GATE_MORE;
}

static struct outcome read_in_steps(const uint8_t *data, size_t size, size_t first, size_t step)
{
    struct bfr_gate gate;
    struct outcome out = {0};
    bfr_gate_begin(&gate);
    size_t piece = first < size ? first : size;
    bool more = feed(&gate, data, piece, &out);
    for (size_t at = piece; more && at < size; at += piece) {
        piece = size - at < step ? size - at : step;
        more = feed(&gate, data + at, piece, &out);
    }
    if (more) // what needs no further byte
        feed(&gate, data, 0, &out);
    out.refusal = gate.refusal;
    bfr_gate_end(&gate);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct outcome whole = read_in_steps(data + 2, size - 2, size, 1);
    struct outcome split = read_in_steps(data + 2, size - 2, data[0], (size_t)data[1] + 1);
    bfr_must(whole.last == split.last && whole.refusal == split.refusal && whole.head == split.head);
    bfr_must(whole.body == split.body && whole.body_sum == split.body_sum && whole.close == split.close);
    bfr_must(whole.last != BFR_GATE_END || whole.used == split.used);
    bfr_must((whole.last == BFR_GATE_BAD) == (whole.refusal != BFR_REFUSE_NONE));
    return 0;
}
