// SPDX-License-Identifier: Apache-2.0
// Token buckets, kept as the time at which each will be full again (the generic cell rate algorithm): two numbers per
// tenant, no timer, nothing to refill. A bucket holds what may come in one second.
#include "http_quota.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/batch.h>

#include "clock.h"

#define BURST_NS BFR_NS_PER_S
#define SETS     512u
#define WAYS     8u

struct bucket {
    char tenant[BFR_ID_MAX + 1]; // "" = free
    struct bfr_rate rate;
    uint64_t requests_ns; // when it is full again
    uint64_t bytes_ns;
};

struct bfr_quota {
    atomic_uint holders;
    pthread_mutex_t lock; // of all buckets; held for a few instructions
    struct bfr_rate fallback;
    struct bucket *named; // sorted by tenant
    size_t named_count;
    struct bucket others[SETS][WAYS];
};

static bool is_limited(struct bfr_rate rate)
{
    return rate.requests_per_second > 0 || rate.bytes_per_second > 0;
}

static int by_tenant(const void *a, const void *b)
{
    const struct bucket *left = a;
    const struct bucket *right = b;
    return strcmp(left->tenant, right->tenant);
}

static bool name_tenants(struct bfr_quota *quota, const struct bfr_settings *settings)
{
    size_t count = settings->quotas.tenant_count;
    if (count == 0)
        return true;
    quota->named = calloc(count, sizeof *quota->named);
    if (quota->named == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct bfr_tenant_quota *from = &settings->quotas.tenants[i];
        strncpy(quota->named[i].tenant, from->tenant, BFR_ID_MAX);
        quota->named[i].rate = from->rate;
    }
    quota->named_count = count;
    qsort(quota->named, count, sizeof *quota->named, by_tenant);
    return true;
}

bool bfr_quota_new(const struct bfr_settings *settings, struct bfr_quota **out)
{
    bool any = is_limited(settings->quotas.fallback);
    for (size_t i = 0; i < settings->quotas.tenant_count; i++)
        any |= is_limited(settings->quotas.tenants[i].rate);
    *out = NULL;
    if (!any)
        return true;
    struct bfr_quota *quota = calloc(1, sizeof *quota);
    if (quota == NULL)
        return false;
    atomic_init(&quota->holders, 1);
    pthread_mutex_init(&quota->lock, NULL);
    quota->fallback = settings->quotas.fallback;
    if (!name_tenants(quota, settings)) {
        bfr_quota_free(quota);
        return false;
    }
    *out = quota;
    return true;
}

struct bfr_quota *bfr_quota_retain(struct bfr_quota *quota)
{
    if (quota != NULL)
        atomic_fetch_add_explicit(&quota->holders, 1, memory_order_relaxed);
    return quota;
}

void bfr_quota_free(struct bfr_quota *quota)
{
    if (quota == NULL || atomic_fetch_sub_explicit(&quota->holders, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&quota->lock);
    free(quota->named);
    free(quota);
}

// FNV-1a.
static uint32_t hash_tenant(const char *tenant)
{
    uint32_t hash = 2166136261u;
    for (; *tenant != '\0'; tenant++)
        hash = (hash ^ (uint8_t)*tenant) * 16777619u;
    return hash;
}

// Zero for a bucket that is full: forgetting it then changes nothing.
static uint64_t debt(const struct bucket *bucket, uint64_t now_ns)
{
    uint64_t until = bucket->requests_ns > bucket->bytes_ns ? bucket->requests_ns : bucket->bytes_ns;
    return until > now_ns ? until - now_ns : 0;
}

static struct bucket *find_other(struct bfr_quota *quota, const char *tenant, uint64_t now_ns)
{
    struct bucket *set = quota->others[hash_tenant(tenant) % SETS];
    struct bucket *victim = &set[0];
    for (unsigned i = 0; i < WAYS; i++) {
        if (strcmp(set[i].tenant, tenant) == 0)
            return &set[i];
        if (debt(&set[i], now_ns) < debt(victim, now_ns))
            victim = &set[i];
    }
    memset(victim, 0, sizeof *victim);
    snprintf(victim->tenant, sizeof victim->tenant, "%s", tenant);
    victim->rate = quota->fallback;
    return victim;
}

// NULL: not limited.
static struct bucket *find(struct bfr_quota *quota, const char *tenant, uint64_t now_ns)
{
    struct bucket key;
    strncpy(key.tenant, tenant, BFR_ID_MAX);
    key.tenant[BFR_ID_MAX] = '\0';
    struct bucket *found = NULL;
    if (quota->named_count > 0)
        found = bsearch(&key, quota->named, quota->named_count, sizeof key, by_tenant);
    if (found == NULL && is_limited(quota->fallback))
        found = find_other(quota, key.tenant, now_ns);
    return found;
}

static void take_debt(struct bfr_quota *quota, const struct bucket *from, uint64_t now_ns)
{
    struct bucket *to = from->tenant[0] == '\0' || debt(from, now_ns) == 0 ? NULL : find(quota, from->tenant, now_ns);
    if (to == NULL)
        return;
    to->requests_ns = from->requests_ns;
    to->bytes_ns = from->bytes_ns;
}

// `quota` is not in use yet, so its own lock is not needed; `former` is, by loops that have not heard of the change.
void bfr_quota_succeed(struct bfr_quota *quota, struct bfr_quota *former, uint64_t now_ns)
{
    if (quota == NULL || former == NULL)
        return;
    pthread_mutex_lock(&former->lock);
    for (size_t i = 0; i < former->named_count; i++)
        take_debt(quota, &former->named[i], now_ns);
    for (unsigned i = 0; i < SETS * WAYS; i++)
        take_debt(quota, &former->others[i / WAYS][i % WAYS], now_ns);
    pthread_mutex_unlock(&former->lock);
}

static void pay_bytes(struct bucket *bucket, uint64_t bytes, uint64_t now_ns)
{
    if (bucket->rate.bytes_per_second == 0)
        return;
    double cost_ns = (double)bytes * (double)BFR_NS_PER_S / (double)bucket->rate.bytes_per_second;
    bucket->bytes_ns = (bucket->bytes_ns > now_ns ? bucket->bytes_ns : now_ns) + (uint64_t)cost_ns;
}

static enum bfr_refusal take(struct bucket *bucket, uint64_t bytes, uint64_t now_ns, uint64_t *out_wait_ns)
{
    uint64_t interval_ns = 0;
    if (bucket->rate.requests_per_second > 0)
        interval_ns = BFR_NS_PER_S / bucket->rate.requests_per_second;
    uint64_t requests_ns = (bucket->requests_ns > now_ns ? bucket->requests_ns : now_ns) + interval_ns;
    if (requests_ns > now_ns + BURST_NS) {
        *out_wait_ns = requests_ns - now_ns - BURST_NS;
        return BFR_REFUSE_REQUEST_RATE;
    }
    if (bytes > 0 && bucket->bytes_ns >= now_ns + BURST_NS) {
        *out_wait_ns = bucket->bytes_ns - now_ns - BURST_NS + 1;
        return BFR_REFUSE_BYTE_RATE;
    }
    bucket->requests_ns = requests_ns;
    if (bytes != BFR_QUOTA_UNDECLARED)
        pay_bytes(bucket, bytes, now_ns);
    return BFR_REFUSE_NONE;
}

enum bfr_refusal bfr_quota_take(struct bfr_quota *quota, const char *tenant, uint64_t bytes, uint64_t now_ns,
                                uint64_t *out_wait_ns)
{
    *out_wait_ns = 0;
    if (quota == NULL)
        return BFR_REFUSE_NONE;
    pthread_mutex_lock(&quota->lock);
    struct bucket *bucket = find(quota, tenant, now_ns);
    enum bfr_refusal refusal = bucket == NULL ? BFR_REFUSE_NONE : take(bucket, bytes, now_ns, out_wait_ns);
    pthread_mutex_unlock(&quota->lock);
    return refusal;
}

void bfr_quota_charge(struct bfr_quota *quota, const char *tenant, uint64_t bytes, uint64_t now_ns)
{
    if (quota == NULL || bytes == 0)
        return;
    pthread_mutex_lock(&quota->lock);
    struct bucket *bucket = find(quota, tenant, now_ns);
    if (bucket != NULL)
        pay_bytes(bucket, bytes, now_ns);
    pthread_mutex_unlock(&quota->lock);
}
