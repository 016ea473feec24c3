// SPDX-License-Identifier: Apache-2.0
// What single look-ups found out since the directory was got: about a tenant, a dataset, or a presented key. A bounded table
// guarded by its owner's lock; who looked longest ago makes room. Holds hashes of keys, never a key.
#ifndef BFR_AUTH_FACTS_H
#define BFR_AUTH_FACTS_H

#include <sys/queue.h>

#include <bfr/auth.h>

#include "accepted.h"
#include "directory.h"

#define FACTS_MAX      4096  // that are not good
#define FACTS_GOOD_MAX 16384 // an accepted key for each of ten thousand tenants is kept

enum fact_kind {
    FACT_TENANT = 1,
    FACT_DATASET = 2,
    FACT_KEY = 3, // may this key send for this tenant?
};

enum fact_state {
    FACT_OPEN = 1,    // asked for the first time, no answer yet
    FACT_GOOD = 2,    // active; the key is accepted
    FACT_GONE = 3,    // absent or inactive
    FACT_WRONG = 4,   // of a key: nobody's
    FACT_FOREIGN = 5, // of a key: somebody else's
    FACT_FAILED = 6   // the service could not be asked, or its answer means nothing
};

struct fact_subject {
    enum fact_kind kind;
    char tenant[BFR_ID_MAX + 1];
    char dataset[BFR_ID_MAX + 1];     // of a dataset
    uint8_t key[DIRECTORY_HASH_SIZE]; // of a key: its SHA-256
};

struct waiter;
TAILQ_HEAD(waiters, waiter);

struct fact {
    struct fact_subject subject;
    enum fact_state state;
    bool in_flight;         // a call is on its way; the fact stays until it has ended
    bool good_list;         // in which list it is
    bool carried;           // a directory was built from it since it was settled
    uint64_t asked_ns;      // when the call began whose answer this is
    uint64_t failed_ns;     // of something good: when the last call began that failed
    struct waiters waiting; // for the end of that call

    char account[BFR_ID_MAX + 1]; // of a good tenant: its own; of a key: under which it was asked about

    // Of a good tenant.
    bool has_token;
    uint8_t token[DIRECTORY_HASH_SIZE];

    TAILQ_ENTRY(fact) by_use;
    struct fact *chain;
    uint64_t hash;
};
TAILQ_HEAD(fact_list, fact);

struct facts {
    struct fact **buckets;
    struct fact_list good, rest; // the one used last is last
    uint32_t good_count, rest_count;
    struct accepted *accepted; // the good ones about keys, for those who do not hold the lock
    uint64_t key_changes;      // how often a key has become accepted, or ceased to be remembered as such
};

bool bfr_facts_init(struct facts *facts); // false when memory is short
void bfr_facts_free(struct facts *facts); // nothing is in flight

struct fact *bfr_facts_find(const struct facts *facts, const struct fact_subject *subject); // or NULL
// Finds or makes; NULL when memory is short, or everything is in flight.
struct fact *bfr_facts_get(struct facts *facts, const struct fact_subject *subject);
// `state` is the answer of a call that began at asked_ns. A failure does not outweigh what is known to be good.
void bfr_fact_settle(struct facts *facts, struct fact *fact, enum fact_state state, uint64_t asked_ns);
void bfr_fact_use(struct facts *facts, struct fact *fact);

// The table in pieces, so that who walks all of it need not hold the lock for long: FACTS_PIECES of them, a few facts in each.
#define FACTS_PIECES 16384
// The `skip`th and further ones in the piece that are good and of that kind, `most` at most. Returns how many. Marks them as
// carried: what settles anew is not.
uint32_t bfr_facts_carry(struct facts *facts, uint32_t piece, enum fact_kind kind, uint32_t skip, struct fact **out,
                         uint32_t most);
// Forget in the piece what is good of that kind, was asked for before `before_ns`, and was carried: the directory has it, or
// knows better.
void bfr_facts_supersede(struct facts *facts, uint32_t piece, enum fact_kind kind, uint64_t before_ns);
uint64_t bfr_facts_bytes(const struct facts *facts);

#endif
