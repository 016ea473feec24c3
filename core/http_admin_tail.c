// SPDX-License-Identifier: Apache-2.0
// Those who follow what is accepted. A timer reads the tap (pipe_tap.h) while there is anybody, makes one line of JSON of each
// note, and hands it to all who want it. Whoever reads too slowly loses lines and is told how many; nothing here ever makes
// ingest wait. Runs on the admin thread only.
#include "http_admin_tail.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <bfr/text.h>

#include "clock.h"
#include "http_admin_conn.h"
#include "http_admin_input.h"
#include "http_admin_state.h"
#include "letter_json.h"

#define TAILS_MAX      16
#define LINE_BYTES_MAX 4096               // all texts at their longest, every byte escaped
#define PENDING_MAX    262144             // bytes that one client may leave unread
#define TURN_US        20000              // how often the tap is read
#define TURN_NOTES     2048               // of it at most, so that other requests have their turn
#define HEARTBEAT_NS   (5 * BFR_NS_PER_S) // without a line
#define SILENCE_MS     60000              // a client that takes nothing for so long is gone

struct tail {
    struct tail *next;
    struct evhttp_request *request;
    struct evbuffer *chunk; // lines of this turn
    struct bfr_admin_filter filter;
    uint64_t dropped;
    uint64_t sent_ns; // when something was sent last
};

struct bfr_admin_tails {
    struct bfr_http_admin *admin;
    struct tail *first;
    uint32_t count;
    struct event *turn;
    bool ending;
    uint32_t finishing; // whose last bytes are on their way
    void (*on_ended)(void *arg);
    void *on_ended_arg;
};

// --- one of them

static void free_tail(struct tail *tail)
{
    if (tail != NULL && tail->chunk != NULL)
        evbuffer_free(tail->chunk);
    free(tail);
}

// evhttp takes a request from its connection when that ends, and leaves it to us.
static bool is_gone(const struct tail *tail)
{
    return evhttp_request_get_connection(tail->request) == NULL;
}

static size_t pending(const struct tail *tail)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(tail->request));
    return evbuffer_get_length(bufferevent_get_output(bev)) + evbuffer_get_length(tail->chunk);
}

static void tell_dropped(struct tail *tail)
{
    if (tail->dropped == 0 || pending(tail) + LINE_BYTES_MAX > PENDING_MAX)
        return;
    evbuffer_add_printf(tail->chunk, "{\"dropped\":%llu}\n", (unsigned long long)tail->dropped);
    tail->dropped = 0;
}

static void add_line(struct tail *tail, const char *line, size_t size)
{
    tell_dropped(tail);
    if (tail->dropped > 0 || pending(tail) + size > PENDING_MAX || evbuffer_add(tail->chunk, line, size) != 0)
        tail->dropped++;
}

static void send_chunk(struct tail *tail, uint64_t now_ns)
{
    if (evbuffer_get_length(tail->chunk) == 0 && now_ns - tail->sent_ns > HEARTBEAT_NS && pending(tail) == 0)
        evbuffer_add(tail->chunk, "\n", 1);
    if (evbuffer_get_length(tail->chunk) == 0)
        return;
    evhttp_send_reply_chunk(tail->request, tail->chunk);
    evbuffer_drain(tail->chunk, evbuffer_get_length(tail->chunk)); // what evhttp did not take is for nobody
    tail->sent_ns = now_ns;
}

// --- lines

// One line, with its end; 0: memory is short. Only ASCII, so that no name can do anything to a terminal.
static size_t make_line(const struct bfr_tap_note *note, char line[LINE_BYTES_MAX])
{
    char sha256[2 * sizeof note->stored_sha256 + 1];
    bfr_hex(note->stored_sha256, sizeof note->stored_sha256, sha256);
    json_t *json =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:b}", "time", bfr_letter_time_value(note->received_ns),
                  "account_id", bfr_admin_text(note->account), "tenant_id", bfr_admin_text(note->tenant), "dataset_id",
                  bfr_admin_text(note->dataset), "filename", bfr_admin_text(note->filename), "bytes",
                  (json_int_t)note->bytes, "stored_sha256", sha256, "duplicate", note->duplicate);
    size_t size = json == NULL ? 0 : json_dumpb(json, line, LINE_BYTES_MAX - 1, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(json);
    if (size == 0 || size > LINE_BYTES_MAX - 1)
        return 0;
    line[size] = '\n';
    return size + 1;
}

static void hand_out(struct bfr_admin_tails *tails, const struct bfr_tap_note *note)
{
    char line[LINE_BYTES_MAX];
    size_t size = 0;
    bool made = false;
    for (struct tail *tail = tails->first; tail != NULL; tail = tail->next) {
        if (!bfr_admin_filter_fits(&tail->filter, note->tenant, note->dataset))
            continue;
        if (!made)
            size = make_line(note, line);
        made = true;
        if (size > 0)
            add_line(tail, line, size);
        else
            tail->dropped++;
    }
}

static void read_tap(struct bfr_admin_tails *tails, size_t most)
{
    struct bfr_tap_note note;
    uint64_t lost = bfr_tap_lost(tails->admin->setup.tap);
    for (size_t i = 0; i < most && bfr_tap_read(tails->admin->setup.tap, &note); i++)
        hand_out(tails, &note);
    for (struct tail *tail = tails->first; tail != NULL; tail = tail->next) {
        tail->dropped += lost; // whose they were, nobody knows
        tell_dropped(tail);
    }
}

// --- all of them

static void forget_gone(struct bfr_admin_tails *tails)
{
    for (struct tail **at = &tails->first, *tail; (tail = *at) != NULL;) {
        if (!is_gone(tail)) {
            at = &tail->next;
            continue;
        }
        *at = tail->next;
        tails->count--;
        evhttp_send_reply_end(tail->request); // without a connection: frees it
        free_tail(tail);
    }
}

static void on_turn(evutil_socket_t fd, short events, void *arg)
{
    (void)fd, (void)events;
    struct bfr_admin_tails *tails = arg;
    forget_gone(tails);
    if (tails->first == NULL) {
        bfr_tap_close(tails->admin->setup.tap);
        event_del(tails->turn);
        return;
    }
    read_tap(tails, TURN_NOTES);
    uint64_t now_ns = bfr_clock_now(&bfr_clock_system);
    for (struct tail *tail = tails->first; tail != NULL; tail = tail->next)
        send_chunk(tail, now_ns);
}

// The client may be silent for ever, but must take what it is sent: in our buffers, and in the kernel's.
static void set_patience(struct tail *tail)
{
    static const struct timeval patience = {SILENCE_MS / 1000, 0};
    static const int silence_ms = SILENCE_MS, kernel_bytes = PENDING_MAX / 4;
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(tail->request));
    bufferevent_set_timeouts(bev, NULL, &patience);
    bufferevent_setwatermark(bev, EV_READ, 0, LINE_BYTES_MAX); // what it sends is not wanted
    (void)setsockopt(bufferevent_getfd(bev), IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
    (void)setsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_SNDBUF, &kernel_bytes, sizeof kernel_bytes);
}

// A timer that finds nobody stops by itself.
static bool attend(struct bfr_admin_tails *tails)
{
    static const struct timeval turn = {0, TURN_US};
    return tails->first != NULL || (event_add(tails->turn, &turn) == 0 && bfr_tap_open(tails->admin->setup.tap));
}

// NULL after a reply.
static struct tail *make_tail(struct bfr_admin_tails *tails, struct evhttp_request *request)
{
    struct bfr_admin_filter filter;
    if (!bfr_admin_read_filter(request, &filter))
        return NULL;
    struct tail *tail = calloc(1, sizeof *tail);
    if (tail == NULL || (tail->chunk = evbuffer_new()) == NULL || !attend(tails)) {
        free_tail(tail);
        bfr_admin_reply_error(request, 503, "out of memory; try again in a moment");
        return NULL;
    }
    tail->filter = filter;
    tail->request = request;
    return tail;
}

void bfr_admin_page_tail(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    struct bfr_admin_tails *tails = admin->tails;
    (void)parameter;
    if (admin->setup.tap == NULL || tails->ending) {
        bfr_admin_reply_error(request, 503, "the daemon is stopping");
        return;
    }
    forget_gone(tails);
    if (tails->count >= TAILS_MAX) {
        bfr_admin_reply_error(request, 503, "16 clients follow what is accepted, and no more can");
        return;
    }
    struct tail *tail = make_tail(tails, request);
    if (tail == NULL)
        return;
    if (!bfr_admin_reply_stream(request, "application/x-ndjson")) { // HEAD: that was all
        free_tail(tail);
        return;
    }
    tail->next = tails->first;
    tails->first = tail;
    tails->count++;
    tail->sent_ns = bfr_clock_now(&bfr_clock_system);
    bfr_admin_conns_hold(admin->conns, evhttp_request_get_connection(request));
    set_patience(tail);
}

// --- life

static void on_last_byte(struct evhttp_request *request, void *arg)
{
    (void)request;
    struct bfr_admin_tails *tails = arg;
    if (--tails->finishing == 0)
        tails->on_ended(tails->on_ended_arg);
}

bool bfr_admin_tails_end(struct bfr_admin_tails *tails, void (*on_ended)(void *arg), void *arg)
{
    tails->ending = true;
    forget_gone(tails);
    if (tails->first == NULL)
        return false;
    tails->on_ended = on_ended;
    tails->on_ended_arg = arg;
    read_tap(tails, BFR_TAP_NOTES);
    while (tails->first != NULL) {
        struct tail *tail = tails->first;
        tails->first = tail->next;
        tails->count--;
        tails->finishing++;
        send_chunk(tail, bfr_clock_now(&bfr_clock_system));
        evhttp_request_set_on_complete_cb(tail->request, on_last_byte, tails);
        evhttp_send_reply_end(tail->request);
        free_tail(tail);
    }
    bfr_tap_close(tails->admin->setup.tap);
    event_del(tails->turn);
    return true;
}

struct bfr_admin_tails *bfr_admin_tails_new(struct bfr_http_admin *admin)
{
    struct bfr_admin_tails *tails = calloc(1, sizeof *tails);
    if (tails == NULL)
        return NULL;
    tails->admin = admin;
    tails->turn = event_new(admin->base, -1, EV_PERSIST, on_turn, tails);
    if (tails->turn == NULL) {
        free(tails);
        return NULL;
    }
    return tails;
}

void bfr_admin_tails_free(struct bfr_admin_tails *tails)
{
    if (tails == NULL)
        return;
    forget_gone(tails);
    while (tails->first != NULL) {
        struct tail *tail = tails->first;
        tails->first = tail->next;
        free_tail(tail); // its request is its connection's
    }
    event_free(tails->turn);
    free(tails);
}
