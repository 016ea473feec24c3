// SPDX-License-Identifier: Apache-2.0
// The gate as a filter, for a comparison with another reader: lines of hexadecimal in, each one connection's bytes; out, for
// each, what the gate made of the first message: `end USED BODY TARGET` (bytes used; body and target in hexadecimal, '-' if
// empty), `bad LABEL` or `more`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_gate.h"

static void print_hex(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", data[i]);
    if (size == 0)
        putchar('-');
}

// The number of bytes in the line.
static size_t read_hex(const char *line, uint8_t *out)
{
    size_t size = 0;
    unsigned byte;
    for (; sscanf(line, "%2x", &byte) == 1; line += 2)
        out[size++] = (uint8_t)byte;
    return size;
}

static void read_message(const uint8_t *data, size_t size, uint8_t *body)
{
    struct bfr_gate gate;
    enum bfr_gate_event event;
    size_t at = 0;
    size_t body_size = 0;
    bfr_gate_begin(&gate);
    do {
        size_t used;
        event = bfr_gate_feed(&gate, data + at, size - at, &used);
        at += used;
        if (event == BFR_GATE_BODY) {
            size_t piece = size - at < gate.body_left ? size - at : (size_t)gate.body_left;
            memcpy(body + body_size, data + at, piece);
            bfr_gate_take(&gate, piece);
            body_size += piece;
            at += piece;
        }
    } while ((event == BFR_GATE_HEAD || event == BFR_GATE_BODY) && (at < size || gate.body_left == 0));
    if (event == BFR_GATE_BAD) {
        printf("bad %s\n", bfr_refusal_info(gate.refusal)->label);
    } else if (event == BFR_GATE_END) {
        printf("end %zu ", at);
        print_hex(body, body_size);
        putchar(' ');
        print_hex(bfr_gate_target(&gate).data, bfr_gate_target(&gate).size);
        putchar('\n');
    } else {
        puts("more");
    }
    bfr_gate_end(&gate);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int status = 0;
    while (status == 0 && (length = getline(&line, &room, stdin)) >= 0) {
        uint8_t *data = malloc((size_t)length + 1);
        uint8_t *body = malloc((size_t)length + 1);
        if (data != NULL && body != NULL)
            read_message(data, read_hex(line, data), body);
        else
            status = 1;
        free(data);
        free(body);
    }
    free(line);
    return status;
}
