// SPDX-License-Identifier: Apache-2.0
// bfr-check-plugin FILE.so [key=value ...]: does this plugin keep the contract of its kind? One line a check, exit 0
// when all hold, 1 when one does not, 2 for a call that makes no sense. Loads the file itself; knows nothing of the
// daemon.
#include "check.h"

#include <dlfcn.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

typedef const struct bfr_plugin *(*entry_fn)(void);

static const char usage[] =
    "usage: bfr-check-plugin [--outage] [--only TEXT] [--wait SECONDS] FILE.so [key=value ...]\n"
    "\n"
    "Runs the checks of the plugin's kind and prints one line for each: ok, skip or FAIL.\n"
    "\n"
    "  key=value         an option, as in the configuration; list elements separated by commas.\n"
    "                    {tmp} in a value is a fresh directory, removed at the end;\n"
    "                    {stage} is a name that differs from stage to stage\n"
    "  --outage          the far end is away: expect RETRY with OUTAGE instead of STORED\n"
    "  --only TEXT       run only the checks whose line contains TEXT, as \"sink: drain\"\n"
    "  --wait SECONDS    how long to wait for what must happen (20)\n";

static const struct bfr_plugin *load(const char *path, char *why, size_t room)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        snprintf(why, room, "%s", dlerror());
        return NULL;
    }
    void *symbol = dlsym(object, "bfr_plugin_entry_v1");
    if (symbol == NULL) {
        snprintf(why, room, "%s", dlerror());
        return NULL;
    }
    entry_fn entry;
    memcpy(&entry, &symbol, sizeof entry); // ISO C has no cast from object to function pointer
    const struct bfr_plugin *plugin = entry();
    if (plugin == NULL || plugin != entry()) {
        snprintf(why, room, "its entry must return the same descriptor whenever it is called");
        return NULL;
    }
    return plugin;
}

static void head_is_ours(const struct bfr_plugin *plugin)
{
    must(plugin->magic == BFR_ABI_MAGIC, "magic is %#x, not %#x; begin the descriptor with BFR_PLUGIN_HEAD",
         plugin->magic, BFR_ABI_MAGIC);
    must(plugin->abi_major == BFR_ABI_MAJOR, "built for ABI %u, this SDK is %u", plugin->abi_major, BFR_ABI_MAJOR);
    must(plugin->min_host_minor <= BFR_ABI_MINOR, "it needs a host of 1.%u, this SDK is 1.%u; use its own SDK's runner",
         plugin->min_host_minor, BFR_ABI_MINOR);
    must(plugin->min_host_minor <= plugin->abi_minor, "it needs 1.%u and was built with the headers of 1.%u",
         plugin->min_host_minor, plugin->abi_minor);
    must(plugin->size >= sizeof *plugin, "its descriptor has size %u, 1.0 has %zu", plugin->size, sizeof *plugin);
    must(plugin->kind >= BFR_KIND_AUTH && plugin->kind <= BFR_KIND_SERVICE, "kind %u is none of enum bfr_kind",
         plugin->kind);
}

// First in a child, so that an initialiser that crashes is a line like any other.
static void loads(const struct subject *subject)
{
    struct threads before;
    threads_list(&before);
    char why[512];
    const struct bfr_plugin *plugin = load(subject->path, why, sizeof why);
    must(plugin != NULL, "%s", why);
    must(threads_gone(&before, 0), "loading it starts a thread; that belongs into start");
    head_is_ours(plugin);
}

static unsigned run_table(const struct check *checks, const struct subject *subject)
{
    unsigned failed = 0;
    for (; checks->promise != NULL; checks++)
        if (subject->only == NULL || strstr(checks->promise, subject->only) != NULL)
            failed += !check_run(checks, subject);
    return failed;
}

static unsigned run_all(struct subject *subject)
{
    static const struct check *const by_kind[] = {
        [BFR_KIND_AUTH] = auth_checks, [BFR_KIND_QUEUE] = queue_checks, [BFR_KIND_SINK] = sink_checks};
    unsigned failed = run_table(file_checks, subject);
    char why[512];
    if (!check_run(&(struct check){"file: loads quietly, with a descriptor of this ABI", loads}, subject) ||
        (subject->plugin = load(subject->path, why, sizeof why)) == NULL)
        return failed + 1;
    unsigned unsound = run_table(descriptor_checks, subject);
    if (unsound > 0) {
        printf("      the rest needs a sound descriptor\n");
        return failed + unsound;
    }
    failed += run_table(life_checks, subject);
    if (subject->plugin->kind != BFR_KIND_SERVICE)
        failed += run_table(by_kind[subject->plugin->kind], subject);
    return failed;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

// Options first, then the file, then pairs. False: usage.
static bool parse(int count, char **arguments, struct subject *subject)
{
    int at = 1;
    for (; at < count && strncmp(arguments[at], "--", 2) == 0; at++) {
        if (strcmp(arguments[at], "--outage") == 0) {
            subject->outage = true;
        } else if (strcmp(arguments[at], "--only") == 0 && at + 1 < count) {
            subject->only = arguments[++at];
        } else if (strcmp(arguments[at], "--wait") == 0 && at + 1 < count) {
            subject->wait_ms = (uint32_t)strtoul(arguments[++at], NULL, 10) * 1000;
        } else {
            return false;
        }
    }
    if (at >= count || subject->wait_ms == 0)
        return false;
    subject->path = arguments[at++];
    subject->pairs = arguments + at;
    subject->pair_count = (size_t)(count - at);
    for (size_t i = 0; i < subject->pair_count; i++)
        if (strchr(subject->pairs[i], '=') == NULL)
            return false;
    return true;
}

int main(int count, char **arguments)
{
    // Whoever started this may have blocked signals, and a thread that forgets to would then look as if it had not.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    struct subject subject = {.wait_ms = 20000};
    if (!parse(count, arguments, &subject)) {
        fputs(usage, stderr);
        return 2;
    }
    char path[4096];
    if (realpath(subject.path, path) == NULL) { // dlopen searches elsewhere for a name without a slash
        fprintf(stderr, "bfr-check-plugin: cannot find '%s'; give the path of a plugin's .so\n", subject.path);
        return 2;
    }
    subject.path = path;
    char directory[] = "/tmp/bfr-check-XXXXXX";
    subject.directory = mkdtemp(directory);
    if (subject.directory == NULL) {
        fprintf(stderr, "bfr-check-plugin: cannot make a directory under /tmp; free some space there\n");
        return 1;
    }
    unsigned failed = run_all(&subject);
    printf("%s: %s\n", subject.plugin != NULL ? subject.plugin->name : subject.path,
           failed == 0 ? "keeps the contract" : "does NOT keep the contract");
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return failed == 0 ? 0 : 1;
}
