// SPDX-License-Identifier: Apache-2.0
// malloc and its family over glibc's own, see alloc_fault.h. The plugin and every library it uses bind to these,
// because the program comes first in the search and exports them (see CMakeLists.txt). State is per thread, so no other thread is disturbed.
#include "alloc_fault.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static _Thread_local bool counting;
static _Thread_local bool hit;
static _Thread_local unsigned left; // allocations until the one that fails; 0 = none
static _Thread_local long balance;

void alloc_fault_begin(unsigned nth)
{
    left = nth;
    hit = false;
    balance = 0;
    counting = true;
}

long alloc_fault_end(bool *out_hit)
{
    counting = false;
    *out_hit = hit;
    return balance;
}

void alloc_fault_pause(void)
{
    counting = false;
}

void alloc_fault_resume(void)
{
    counting = true;
}

#ifdef SANITIZED

bool alloc_fault_available(void)
{
    return false;
}

#else

// A preloaded allocator comes before this program's, so ask rather than assume - by a call of the C library's, which
// binds as a plugin's would.
bool alloc_fault_available(void)
{
    char *(*volatile duplicate)(const char *) = strdup; // compilers think they know what strdup cannot touch
    bool seen;
    alloc_fault_begin(1);
    char *copy = duplicate("x");
    alloc_fault_end(&seen);
    free(copy);
    return seen;
}

#define EXPORTED __attribute__((visibility("default")))

// glibc's implementations; malloc(3) itself is an alias of the first.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static bool may_allocate(void)
{
    if (!counting || left == 0 || --left > 0)
        return true;
    hit = true;
    errno = ENOMEM;
    return false;
}

static void *count(void *block)
{
    if (counting && block != NULL)
        balance++;
    return block;
}

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library has other names for them
EXPORTED void *malloc(size_t size)
{
    return may_allocate() ? count(__libc_malloc(size)) : NULL;
}

EXPORTED void *calloc(size_t elements, size_t size)
{
    return may_allocate() ? count(__libc_calloc(elements, size)) : NULL;
}

EXPORTED void free(void *block)
{
    if (counting && block != NULL)
        balance--;
    __libc_free(block);
}

EXPORTED void *realloc(void *block, size_t size)
{
    if (block != NULL && size == 0) {
        free(block);
        return NULL;
    }
    if (!may_allocate())
        return NULL;
    void *grown = __libc_realloc(block, size);
    return block == NULL ? count(grown) : grown;
}

EXPORTED void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size)
{
    return may_allocate() ? count(__libc_memalign(alignment, size)) : NULL;
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORTED int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)

#endif
