/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kind AUTH: may this sender put batches into this tenant's dataset? Asked at the end of the request's head, before
 * a byte of the body is read.
 */
#ifndef BFR_AUTH_H
#define BFR_AUTH_H

#include "batch.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Asks about the tenant only; the dataset is not to be checked (connectivity test with dataset "unknown"). */
#define BFR_REQUEST_TENANT_ONLY UINT32_C(1)

/* What is asked. Borrowed for the call of `authorize`. Tenant and dataset have passed the syntax check. */
struct bfr_request {
    uint32_t size;  /* sizeof(struct bfr_request) */
    uint32_t flags; /* BFR_REQUEST_* */
    const char *tenant;
    const char *dataset;
    struct bfr_span authorization; /* the field's value as sent, surrounding blanks removed; data NULL when absent */
    const char *peer;              /* address of the sender, text, without port */
};

/* The answer. Zero is never valid. */
enum bfr_decision {
    BFR_ALLOW = 1,
    BFR_DENY = 2,    /* known for certain; `deny` says what */
    BFR_UNKNOWN = 3, /* cannot be known now: the sender gets 503 and tries again */
    BFR_LATER = 4    /* only as return value of authorize: host->verdict will follow */
};

enum bfr_deny {
    BFR_DENY_TOKEN = 1,       /* 401: no token, or a wrong one */
    BFR_DENY_FOREIGN = 2,     /* 403: a good token, but not for this tenant */
    BFR_DENY_TENANT_GONE = 3, /* 410 */
    BFR_DENY_DATASET_GONE = 4 /* 404 */
};

struct bfr_verdict {
    uint32_t size;                /* sizeof(struct bfr_verdict); set by who makes the struct */
    uint32_t decision;            /* enum bfr_decision, never BFR_LATER */
    uint32_t deny;                /* enum bfr_deny, with BFR_DENY */
    uint32_t retry_after_s;       /* with BFR_UNKNOWN: a hint for the sender; 0 = the host decides */
    char account[BFR_ID_MAX + 1]; /* with BFR_ALLOW: filled by the plugin; may be empty */
    char text[160]; /* with DENY and UNKNOWN: one line for the log, never shown to the sender, no secret */
};

/* What the stage knows, in figures. */
struct bfr_directory {
    uint32_t size;     /* set by the caller: sizeof(struct bfr_directory) */
    uint32_t flags;    /* BFR_DIRECTORY_* */
    uint64_t tenants;  /* active ones */
    uint64_t datasets; /* active ones */
};

/* There is a directory: questions about what is in it can be answered. Clear: none has been got yet. */
#define BFR_DIRECTORY_LOADED UINT32_C(1)

struct bfr_known_dataset {
    uint32_t size; /* sizeof(struct bfr_known_dataset) */
    uint32_t reserved;
    const char *dataset;
    const char *name;      /* for people; the id when there is no other */
    const char *data_hint; /* "" when unknown */
};

/* One tenant. Strings are UTF-8, never NULL, and live as long as the call of `visit`. */
struct bfr_known_tenant {
    uint32_t size;  /* sizeof(struct bfr_known_tenant) */
    uint32_t flags; /* BFR_KNOWN_* */
    const char *account;
    const char *tenant;
    const char *name; /* for people; the id when there is no other */
    uint32_t dataset_count;
    uint32_t reserved;
    const struct bfr_known_dataset *const *datasets; /* the active ones; empty with BFR_KNOWN_ALL_DATASETS */
};

#define BFR_KNOWN_HAS_TOKEN    UINT32_C(1) /* it has a token of its own */
#define BFR_KNOWN_ALL_DATASETS UINT32_C(2) /* any dataset is accepted */

struct bfr_auth_vtable {
    uint32_t size; /* sizeof(struct bfr_auth_vtable) */

    /* Decide. Returns the decision with *out filled, or BFR_LATER: then host->verdict is called once with `ticket`,
     * from any thread, possibly before this returns. Never blocks. Tokens are compared in constant time. Required.
     * [loop, started] */
    uint32_t (*authorize)(void *self, const struct bfr_request *request, uint64_t ticket, struct bfr_verdict *out);

    /* The sender is gone: nobody waits for this ticket any more. A verdict that comes all the same is ignored. May be
     * NULL. [loop, started] */
    void (*cancel)(void *self, uint64_t ticket);

    /* How much does the stage know? Cheap, never blocks. May be NULL: then there is no directory (mode open). Returns false
     * likewise. [any, started] */
    bool (*directory)(void *self, struct bfr_directory *out);

    /* Visit the active tenants in an order that stays while the directory does: the one with the id `tenant`, or all when it
     * is NULL, leaving out the first `skip`. All are from one moment. `visit` returns false to stop, and must not block. May
     * be NULL. [any, started] */
    void (*tenants)(void *self, const char *tenant, uint64_t skip,
                    bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg);
};

#ifdef __cplusplus
}
#endif
#endif
