// SPDX-License-Identifier: Apache-2.0
// Sink "manifest": one line per batch (time, tenant, dataset, filename, bytes, SHA-256) in a text file that is synced
// before the batch counts as stored. Put it beside the sink that keeps the bodies: it is the list to audit that by.
// C++17 over the same C tables. No exception leaves this file: every function the host calls catches what it throws.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <new>
#include <string>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

#include <bfr/blocking_sink.h>
#include <bfr/plugin.h>

namespace
{

class File
{
  public:
    explicit File(const std::string &path)
        : descriptor(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640))
    {
        if (descriptor < 0)
            throw std::system_error(errno, std::generic_category(), "cannot open '" + path + "'");
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    ~File()
    {
        close(descriptor);
    }

    // One write per line: with O_APPEND lines of several processes do not mix.
    void append(const std::string &line) const
    {
        if (write(descriptor, line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
            fdatasync(descriptor) != 0)
            throw std::system_error(errno, std::generic_category(), "cannot write the manifest");
    }

  private:
    int descriptor;
};

std::string describe(const bfr_batch &batch)
{
    char sha256[65];
    bfr_hex(batch.stored_sha256, sizeof batch.stored_sha256, sha256);
    return std::to_string(batch.received_ns / 1000000000) + ' ' + batch.tenant + ' ' + batch.dataset + ' ' +
           batch.filename + ' ' + std::to_string(batch.body_bytes) + ' ' + sha256 + '\n';
}

struct Manifest {
    bfr_blocking_sink *pool = nullptr; // first: the slots below expect it there
    std::string path;

    ~Manifest()
    {
        bfr_blocking_sink_free(pool);
    }
};

// Opened for every batch, so that the file can be rotated by renaming it.
void store(void *self, const bfr_batch *batch, bfr_result *out)
{
    try {
        File(static_cast<Manifest *>(self)->path).append(describe(*batch));
    } catch (const std::exception &failure) {
        bfr_result_outage(out, "%s", failure.what());
    }
}

uint32_t create(const bfr_host *host, void **out_self, bfr_err *err)
{
    try {
        auto me = std::make_unique<Manifest>();
        me->path = host->config_string(host, "file");
        me->pool = bfr_blocking_sink_new(host, 1, store, me.get(), err); // one: lines come one after the other anyway
        if (me->pool == nullptr)
            return BFR_EFAIL;
        *out_self = me.release();
        return BFR_OK;
    } catch (const std::bad_alloc &) {
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
}

void destroy(void *self)
{
    delete static_cast<Manifest *>(self);
}

const bfr_option options[] = {
    {"file", BFR_OPTION_PATH, BFR_OPTION_REQUIRED, nullptr, nullptr, nullptr, nullptr, nullptr,
     "the manifest; made if missing", nullptr},
};

const bfr_life life = {
    sizeof life,
    create,
    bfr_blocking_sink_slot_start,
    bfr_blocking_sink_slot_drain,
    bfr_blocking_sink_slot_stop,
    destroy,
    nullptr,
    nullptr,
    nullptr,
};

const bfr_sink_vtable sink = {sizeof sink, bfr_blocking_sink_slot_put, bfr_blocking_sink_slot_window};

const bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    BFR_KIND_SINK,
    "manifest",
    "1.0",
    "one line per batch in a text file, to audit a store by",
    options,
    1,
    sizeof *options,
    &life,
    &sink,
    0,
    nullptr,
    0,
    0,
};

} // namespace

const bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
