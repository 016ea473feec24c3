// SPDX-License-Identifier: Apache-2.0
// A client for tests that sends exactly the bytes it is given and reads what comes back. Blocking, with a limit.
#ifndef BFR_TEST_HTTP_CLIENT_H
#define BFR_TEST_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_reply {
    int status;
    bool closes; // Connection: close
    char head[4096];
    char body[8192];
    size_t body_size;
};

int client_connect(uint16_t port);
bool client_send(int fd, const void *data, size_t size); // false: the peer did not take all of it
void client_text(int fd, const char *text);
// Wait until the peer's kernel has everything that was sent.
void client_delivered(int fd);
// Of that, what the peer has not read; it is on this machine.
size_t client_unread(int fd);
// One reply. False: the connection ended, or nothing came in 60 s, before it was complete.
bool client_reply(int fd, struct http_reply *out);
// True when the peer has closed (orderly or not); waits up to 60 s, drops what comes.
bool client_closed(int fd);
// The same, but a reset does not count.
bool client_closed_orderly(int fd);
// True when the field stands in the head with that value.
bool reply_has(const struct http_reply *reply, const char *name, const char *value);

#endif
