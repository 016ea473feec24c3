// SPDX-License-Identifier: Apache-2.0
// What other threads have to tell one loop: answers of the pipeline, late verdicts, room in the budget. A lock-free stack
// of embedded nodes and one eventfd. Only the post that finds the box empty wakes the loop, so a group of answers costs
// one wake-up per loop.
#ifndef BFR_CORE_HTTP_MAILBOX_H
#define BFR_CORE_HTTP_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct bfr_mail {
    struct bfr_mail *next;
};

struct bfr_mailbox {
    _Atomic(struct bfr_mail *) newest;
    int fd; // readable when there is something to do
};

bool bfr_mailbox_open(struct bfr_mailbox *box); // false: errno says why
void bfr_mailbox_close(struct bfr_mailbox *box);

void bfr_mailbox_post(struct bfr_mailbox *box, struct bfr_mail *mail); // [any]
void bfr_mailbox_nudge(struct bfr_mailbox *box);                       // wake without mail [any]

// Everything posted so far, oldest first. [loop]
struct bfr_mail *bfr_mailbox_take(struct bfr_mailbox *box);

#endif
