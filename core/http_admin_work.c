// SPDX-License-Identifier: Apache-2.0
// The worker of the API: a list of jobs under a lock, a thread that does them one after another, and a mailbox through which
// they come back to the admin loop, which alone touches requests and connections.
#include "http_admin_work.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <bfr/text.h>

#include "http_admin_conn.h"
#include "http_admin_state.h"
#include "thread.h"

struct bfr_admin_work {
    struct bfr_http_admin *admin;
    struct bfr_mailbox done;
    struct event *on_done;
    atomic_bool turned; // the loop has looked for jobs that are done
    uint32_t under_way; // ordered and not yet answered; the admin thread's
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct bfr_admin_job *first, **last; // guarded, as is what follows
    bool quit;
    bool running;
    pthread_t thread;
};

static void free_job(struct bfr_admin_job *job)
{
    json_decref(job->reply);
    free(job->body);
    free(job);
}

void bfr_admin_job_fail(struct bfr_admin_job *job, int status, const char *error)
{
    json_decref(job->reply);
    job->status = status;
    job->reply = json_pack("{s:s, s:i}", "error", error, "status", status);
}

// --- worker

static struct bfr_admin_job *take_job(struct bfr_admin_work *work)
{
    pthread_mutex_lock(&work->lock);
    while (work->first == NULL && !work->quit)
        pthread_cond_wait(&work->changed, &work->lock);
    struct bfr_admin_job *job = work->quit ? NULL : work->first;
    if (job != NULL) {
        work->first = job->next;
        if (work->first == NULL)
            work->last = &work->first;
    }
    pthread_mutex_unlock(&work->lock);
    return job;
}

static void *do_jobs(void *arg)
{
    struct bfr_admin_work *work = arg;
    for (struct bfr_admin_job *job; (job = take_job(work)) != NULL;) {
        job->run(job);
        job->body = job->reply == NULL ? NULL : json_dumps(job->reply, JSON_COMPACT);
        json_decref(job->reply);
        job->reply = NULL;
        bfr_mailbox_post(&work->done, &job->mail);
    }
    return NULL;
}

// --- admin loop

static void send_replies(evutil_socket_t fd, short events, void *arg)
{
    (void)fd, (void)events;
    struct bfr_admin_work *work = arg;
    atomic_store(&work->turned, true);
    for (struct bfr_mail *mail = bfr_mailbox_take(&work->done), *next; mail != NULL; mail = next) {
        struct bfr_admin_job *job = (struct bfr_admin_job *)mail;
        next = mail->next;
        bfr_admin_conns_renew(work->admin->conns, evhttp_request_get_connection(job->request));
        bfr_admin_reply_body(job->request, job->status, "application/json", job->body,
                             job->body == NULL ? 0 : strlen(job->body));
        job->body = NULL;
        work->under_way--;
        free_job(job);
    }
}

void bfr_admin_work_order(struct bfr_http_admin *admin, struct evhttp_request *request,
                          const struct bfr_admin_job *order)
{
    struct bfr_admin_work *work = admin->work;
    struct bfr_admin_job *job = work->under_way < BFR_ADMIN_JOBS_MAX ? malloc(sizeof *job) : NULL;
    if (job == NULL) {
        bfr_admin_reply_error(request, 503, "too many requests of this kind wait; try again in a moment");
        return;
    }
    *job = *order;
    job->next = NULL;
    job->admin = admin;
    job->request = request;
    work->under_way++;
    bfr_admin_conns_hold(admin->conns, evhttp_request_get_connection(request));
    pthread_mutex_lock(&work->lock);
    *work->last = job;
    work->last = &job->next;
    pthread_cond_signal(&work->changed);
    pthread_mutex_unlock(&work->lock);
}

bool bfr_admin_work_turns(struct bfr_admin_work *work)
{
    bool turned = atomic_exchange(&work->turned, false);
    bfr_mailbox_nudge(&work->done);
    return turned;
}

// --- life

struct bfr_admin_work *bfr_admin_work_new(struct bfr_http_admin *admin)
{
    struct bfr_admin_work *work = calloc(1, sizeof *work);
    if (work == NULL)
        return NULL;
    work->admin = admin;
    work->last = &work->first;
    atomic_init(&work->turned, true);
    pthread_mutex_init(&work->lock, NULL);
    pthread_cond_init(&work->changed, NULL);
    if (bfr_mailbox_open(&work->done))
        work->on_done = event_new(admin->base, work->done.fd, EV_READ | EV_PERSIST, send_replies, work);
    if (work->on_done == NULL || event_add(work->on_done, NULL) != 0) {
        bfr_admin_work_free(work);
        return NULL;
    }
    return work;
}

uint32_t bfr_admin_work_start(struct bfr_admin_work *work, struct bfr_err *err)
{
    int error = bfr_thread_start(&work->thread, "admin-work", do_jobs, work);
    if (error != 0)
        return bfr_err_set(err, BFR_EFAIL, "API: cannot start a thread: %s", strerror(error));
    work->running = true;
    return BFR_OK;
}

static void end_thread(struct bfr_admin_work *work)
{
    pthread_mutex_lock(&work->lock);
    work->quit = true;
    pthread_cond_signal(&work->changed);
    pthread_mutex_unlock(&work->lock);
    if (work->running)
        pthread_join(work->thread, NULL);
}

static void drop_jobs(struct bfr_admin_work *work)
{
    for (struct bfr_mail *mail = work->done.fd < 0 ? NULL : bfr_mailbox_take(&work->done), *next; mail != NULL;
         mail = next) {
        next = mail->next;
        free_job((struct bfr_admin_job *)mail);
    }
    while (work->first != NULL) {
        struct bfr_admin_job *job = work->first;
        work->first = job->next;
        free_job(job);
    }
}

void bfr_admin_work_free(struct bfr_admin_work *work)
{
    if (work == NULL)
        return;
    end_thread(work);
    drop_jobs(work);
    if (work->on_done != NULL)
        event_free(work->on_done);
    bfr_mailbox_close(&work->done);
    pthread_cond_destroy(&work->changed);
    pthread_mutex_destroy(&work->lock);
    free(work);
}
