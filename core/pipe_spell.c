// SPDX-License-Identifier: Apache-2.0
// See pipe_spell.h. Pure; pump thread only.
//
// The breaker knows only of what the sink itself calls an outage. A spell needs no such word: it is seen from whether
// anything at all was stored. One success is enough to end it, so what is refused while others are stored stays a letter.
// When the trouble begins, batches that were handed over before may still be stored: they are no news.
#include "pipe_spell.h"

#include <stdio.h>

void bfr_spell_failed(struct bfr_spell *spell, int64_t wall_ns, uint64_t now_ns)
{
    if (spell->from_ns != 0)
        return;
    *spell = (struct bfr_spell){.from_ns = wall_ns, .since_ns = now_ns};
}

void bfr_spell_buried(struct bfr_spell *spell, const char *cause)
{
    spell->buried++;
    snprintf(spell->cause, sizeof spell->cause, "%s", cause);
}

bool bfr_spell_stored(struct bfr_spell *spell, uint64_t put_ns, struct bfr_spell *out)
{
    if (spell->from_ns == 0 || put_ns < spell->since_ns)
        return false;
    bool wanted = spell->buried > 0;
    if (wanted)
        *out = *spell;
    spell->from_ns = 0;
    spell->buried = 0;
    return wanted;
}
