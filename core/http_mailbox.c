// SPDX-License-Identifier: Apache-2.0
// The mailbox of a loop. Never blocks, never allocates.
#include "http_mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bug.h"

bool bfr_mailbox_open(struct bfr_mailbox *box)
{
    atomic_init(&box->newest, NULL);
    box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return box->fd >= 0;
}

void bfr_mailbox_close(struct bfr_mailbox *box)
{
    if (box->fd >= 0)
        close(box->fd);
    box->fd = -1;
}

void bfr_mailbox_post(struct bfr_mailbox *box, struct bfr_mail *mail)
{
    struct bfr_mail *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do
        mail->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&box->newest, &newest, mail, memory_order_acq_rel,
                                                  memory_order_relaxed));
    // From here on `mail` may be gone: the loop may have taken it already.
    if (newest == NULL)
        bfr_mailbox_nudge(box);
}

void bfr_mailbox_nudge(struct bfr_mailbox *box)
{
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(box->fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    bfr_must(written == (ssize_t)sizeof one || errno == EAGAIN); // EAGAIN: it is readable as it is
}

struct bfr_mail *bfr_mailbox_take(struct bfr_mailbox *box)
{
    // The counter first: a post after the exchange finds the box empty and raises it again.
    uint64_t count;
    ssize_t got = read(box->fd, &count, sizeof count);
    bfr_must(got == (ssize_t)sizeof count || errno == EAGAIN || errno == EINTR);

    struct bfr_mail *newest = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    struct bfr_mail *oldest = NULL;
    while (newest != NULL) {
        struct bfr_mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
