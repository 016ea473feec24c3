// SPDX-License-Identifier: Apache-2.0
// See s3_call.h.
#include "s3_call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <bfr/text.h>

#define S3_PLACE_SIZE 512
#define REPLY_MAX     65536
#define TRIES_MAX     4 // a first one, and one for each thing that there is to learn
#define NS_PER_S      INT64_C(1000000000)
#define DATE_MOST_S   INT64_C(7258118400) // 2200-01-01: a clock beyond that is no clock
#define SKEW_LEAST_NS (30 * NS_PER_S)

void bfr_s3_call_begin(struct s3_call *call, const char *method, const char *query, const uint8_t *payload,
                       const char *const *segments, size_t count)
{
    const struct s3_session *session = call->session;
    struct s3_request *request = &call->request;

    bfr_s3_request_begin(request, method, query, payload);
    if (session->endpoint.path_style)
        bfr_s3_request_add_segment(request, session->options->bucket_name);
    for (size_t i = 0; i < count; i++)
        bfr_s3_request_add_segment(request, segments[i]);
    if (request->path[0] == '\0')
        memcpy(request->path, "/", 2);
    call->spans = NULL;
    call->span_count = 0;
    call->body_bytes = 0;
    call->has_body = call->once = false;
    call->on_body = NULL;
    call->tries = 0;
    call->stopped = false;
}

static void place_of(const struct s3_call *call, char *out, size_t room)
{
    const struct s3_endpoint *endpoint = &call->session->endpoint;

    snprintf(out, room, "%s %s://%.100s%.360s", call->request.method, endpoint->https ? "https" : "http",
             endpoint->host, call->request.path);
}

// The end without a reply that can be judged.
static void fail(struct s3_call *call, bool uncertain, const char *cause, const char *way_out)
{
    struct s3_answer *answer = &call->answer;
    char place[S3_PLACE_SIZE];

    place_of(call, place, sizeof place);
    *answer = (struct s3_answer){.uncertain = uncertain};
    (void)bfr_err_set(&answer->why, BFR_EFAIL, "%s: %s; %s", place, cause, way_out);
    call->on_answer(call->arg, answer);
}

// --- learning from an answer. True: it may go better now.

// A store names its region in a header or in the error; a bucket that moved gives neither, and then we cannot help.
static bool learn_region(struct s3_call *call, const struct s3_answer *answer)
{
    struct s3_session *session = call->session;
    const struct s3_options *options = session->options;
    const char *region = bfr_http_header(answer->reply, "x-amz-bucket-region");
    struct s3_endpoint moved;

    if (region == NULL || !bfr_s3_region_is_good(region))
        region = answer->error.region;
    if (!bfr_s3_region_is_good(region) || strcmp(region, call->region) == 0)
        return false;
    if (strcmp(region, session->region) == 0)
        return true; // another call has learnt it since
    if (bfr_s3_endpoint_make(options->endpoint, options->ssl, options->path_style, region, options->bucket_name, &moved,
                             NULL) != BFR_OK)
        return false;
    bfr_log(session->host, BFR_LOG_WARN, "the bucket is in another region; set region to it", "configured",
            session->region, "actual", region, NULL);
    snprintf(session->region, sizeof session->region, "%s", region);
    session->endpoint = moved;
    return true;
}

static bool is_close(int64_t a_ns, int64_t b_ns)
{
    return a_ns - b_ns > -SKEW_LEAST_NS && a_ns - b_ns < SKEW_LEAST_NS;
}

static bool learn_clock(struct s3_call *call, const struct s3_answer *answer)
{
    struct s3_session *session = call->session;
    const char *date = bfr_http_header(answer->reply, "date");
    struct tm utc = {0};

    if (date == NULL || strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &utc) == NULL) // RFC 9110 section 5.6.7
        return false;
    int64_t store_s = timegm(&utc);
    if (store_s < 0 || store_s > DATE_MOST_S)
        return false;
    int64_t skew_ns = store_s * NS_PER_S - session->host->wall_ns(session->host);
    if (is_close(skew_ns, call->skew_ns))
        return false;
    if (is_close(skew_ns, session->skew_ns))
        return true; // another call has learnt it since
    session->skew_ns = skew_ns;
    bfr_log(session->host, BFR_LOG_WARN, "the store's clock differs from this machine's; signing by the store's",
            "seconds", bfr_num(skew_ns / NS_PER_S).text, NULL);
    return true;
}

static bool learn(struct s3_call *call, const struct s3_answer *answer)
{
    if (call->tries >= TRIES_MAX || answer->meaning == NULL)
        return false;
    switch (answer->meaning->action) {
    case S3_ACTION_REGION:
        return learn_region(call, answer);
    case S3_ACTION_CLOCK:
        return learn_clock(call, answer);
    case S3_ACTION_CREDENTIALS:
        return bfr_s3_credentials_refuse(call->session->credentials, call->access_key);
    case S3_ACTION_DENIED:
        return learn_region(call, answer) || bfr_s3_credentials_doubt(call->session->credentials, call->access_key);
    default:
        return false;
    }
}

// --- the answer

static void read_refusal(struct s3_call *call, const struct bfr_http_reply *reply, struct s3_answer *answer)
{
    char place[S3_PLACE_SIZE];
    const char *code;

    bfr_s3_error_read(reply->body, reply->body_bytes, &answer->error);
    // The answer to a HEAD has no document, and keys that are over and a wrong region are 400 on AWS.
    bool veiled = reply->status == 400 && strcmp(call->request.method, "HEAD") == 0;
    answer->meaning = bfr_s3_meaning(veiled ? 403 : reply->status, answer->error.code);
    answer->uncertain = reply->status >= 500; // a proxy's 502 may hide a success
    place_of(call, place, sizeof place);
    code = answer->error.code[0] != '\0' ? answer->error.code : "without an error code";
    (void)bfr_err_set(&answer->why, BFR_EFAIL, "%s: %u %s%s%s; %s", place, reply->status, code,
                      answer->error.message[0] != '\0' ? ", " : "", answer->error.message, answer->meaning->way_out);
}

static const char *way_out_of(uint32_t end)
{
    switch (end) {
    case BFR_HTTP_UNSENT:
        return "check endpoint, network, TLS certificates and proxy";
    case BFR_HTTP_TIMED_OUT:
        return "check the store and the network, or raise the timeouts";
    case BFR_HTTP_STOPPED:
        return "the batch is kept for the next start";
    default:
        return "check the store and what stands between";
    }
}

static void on_done(void *arg, const struct bfr_http_reply *reply)
{
    struct s3_call *call = arg;
    struct s3_answer *answer = &call->answer;

    bfr_s3_request_rewind(&call->request, call->mark);
    call->stopped = reply->end == BFR_HTTP_STOPPED;
    if (reply->end != BFR_HTTP_REPLIED) {
        fail(call, reply->end != BFR_HTTP_UNSENT, reply->text, way_out_of(reply->end));
        return;
    }
    *answer = (struct s3_answer){.status = reply->status, .reply = reply};
    answer->ok = reply->status >= 200 && reply->status < 300;
    if (!answer->ok)
        read_refusal(call, reply, answer);
    if (!answer->ok && learn(call, answer))
        bfr_s3_call_send(call);
    else
        call->on_answer(call->arg, answer);
}

// --- sending

// What differs from try to try: host, time, token, and over all of it the signature.
static bool sign(struct s3_call *call, const struct s3_keys *keys)
{
    struct s3_session *session = call->session;
    struct s3_request *request = &call->request;
    char time[S3_TIME_SIZE], authorization[S3_AUTHORIZATION_SIZE];

    call->sent_ns = session->host->wall_ns(session->host);
    call->skew_ns = session->skew_ns;
    snprintf(call->region, sizeof call->region, "%s", session->region);
    bfr_s3_sign_time(call->sent_ns + session->skew_ns, time);
    snprintf(call->access_key, sizeof call->access_key, "%s", keys->access_key);
    bfr_s3_request_add(request, "host", "%s", session->endpoint.host);
    bfr_s3_request_add(request, "x-amz-date", "%s", time);
    bfr_s3_request_add(request, "x-amz-content-sha256", "%s", request->payload);
    if (keys->session_token[0] != '\0')
        bfr_s3_request_add(request, "x-amz-security-token", "%s", keys->session_token);
    const struct s3_signable what = {
        .method = request->method,
        .path = request->path,
        .query = request->query,
        .lines = request->lines,
        .count = request->count,
        .payload = request->payload,
        .time = time,
        .region = session->region,
        .service = "s3",
        .access_key = keys->access_key,
        .secret_key = keys->secret_key,
    };
    if (request->overflow || !bfr_s3_sign(&session->signer, &what, authorization))
        return false;
    bfr_s3_request_add(request, "authorization", "%s", authorization);
    return !request->overflow;
}

static uint32_t submit(struct s3_call *call)
{
    const struct s3_session *session = call->session;
    const struct s3_request *request = &call->request;
    char url[S3_HOST_SIZE + S3_PATH_SIZE + 64];

    snprintf(url, sizeof url, "%s://%s%s%s%s", session->endpoint.https ? "https" : "http", session->endpoint.host,
             request->path, request->query[0] != '\0' ? "?" : "", request->query);
    return bfr_http_submit(session->http, &(struct bfr_http_request){
                                              .method = request->method,
                                              .url = url,
                                              .headers = request->lines,
                                              .header_count = request->count,
                                              .body = call->spans,
                                              .span_count = call->span_count,
                                              .body_bytes = call->body_bytes,
                                              .has_body = call->has_body,
                                              .flags = call->once ? BFR_HTTP_ONCE : 0,
                                              .connect_timeout_ms = session->options->connect_timeout_ms,
                                              .stall_timeout_ms = session->options->stall_timeout_ms,
                                              .timeout_ms = session->options->request_timeout_ms,
                                              .reply_max = REPLY_MAX,
                                              .on_body = call->on_body,
                                              .on_done = on_done,
                                              .arg = call,
                                          });
}

static void send_with(struct s3_call *call, const struct s3_keys *keys)
{
    bool fits = sign(call, keys);
    uint32_t status = fits ? submit(call) : BFR_EINVAL;

    if (status == BFR_OK)
        return;
    bfr_s3_request_rewind(&call->request, call->mark);
    call->stopped = status == BFR_EFAIL;
    if (status == BFR_EFAIL)
        fail(call, false, "the sink is being stopped", "the batch is kept for the next start");
    else if (status == BFR_ENOMEM)
        fail(call, false, "out of memory", "give the machine or the service more memory");
    else
        fail(call, false, "the request does not fit into the limits of HTTP", "shorten tags or the session token");
}

static void without_keys(struct s3_call *call)
{
    char trouble[256];

    bfr_s3_credentials_trouble(call->session->credentials, trouble, sizeof trouble);
    fail(call, false, trouble[0] != '\0' ? trouble : "no credentials", "see the log and check the role");
}

static void on_keys(struct s3_waiter *waiter)
{
    struct s3_call *call = (struct s3_call *)waiter;
    bool waiting = false;
    const struct s3_keys *keys = bfr_s3_credentials_get(call->session->credentials, NULL, &waiting);

    if (keys != NULL)
        send_with(call, keys);
    else
        without_keys(call);
}

void bfr_s3_call_send(struct s3_call *call)
{
    bool waiting = false;

    if (call->tries++ == 0)
        call->mark = bfr_s3_request_mark(&call->request);
    call->waiter.on_keys = on_keys;
    const struct s3_keys *keys = bfr_s3_credentials_get(call->session->credentials, &call->waiter, &waiting);
    if (keys != NULL)
        send_with(call, keys);
    else if (!waiting)
        without_keys(call);
}
