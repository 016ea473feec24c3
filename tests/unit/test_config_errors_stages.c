// SPDX-License-Identifier: Apache-2.0
// Mistakes in the pipeline and in the keys of its stages: the exact place and words of every finding.
#include "config_cases.h"

#define PIPELINE "pipeline: [{plugin: fake, place: p}]\n"
#define STAGE    "pipeline:\n  - plugin: fake\n    place: p\n"
#define SMALLEST "a smallest one is  pipeline: [{plugin: memory}, {plugin: fs, directory: /srv/batches}]\n"
#define STAGE_KEYS                                                                                                     \
    "known here: place mode ssl workers offset share room interval_ms directory hosts tags api_key token plugin "      \
    "name\n"

static const struct config_case cases[] = {
    {"an empty pipeline", "pipeline: []\n", "1:11: error: the pipeline is empty; " SMALLEST},
    {"a pipeline without a value",
     "ack: sink\n"
     "pipeline:\n",
     "2:1: error: pipeline: found nothing instead of a list; " SMALLEST},
    {"a pipeline that is a mapping",
     "pipeline:\n"
     "  fake: {place: p}\n",
     "2:3: error: pipeline: found a mapping instead of a list; " SMALLEST},
    {"a pipeline that is a word", "pipeline: fake\n",
     "1:11: error: pipeline: found a single value instead of a list; " SMALLEST},
    {"services that are a mapping", PIPELINE "services: {plugin: fake, place: p}\n",
     "2:11: error: services: found a mapping instead of a list; write  services: [{plugin: NAME}]  or leave it out\n"},
    {"an entry without a plugin",
     "pipeline:\n"
     "  - name: main\n"
     "    place: p\n",
     "2:5: error: this entry has no 'plugin'; write  - plugin: NAME  and its keys below it\n"},
    {"an entry keyed by its plugin",
     "pipeline:\n"
     "  - fake: {place: p}\n",
     "2:5: error: this entry has no 'plugin'; write  - {plugin: fake, ...}  with the keys beside it\n"},
    {"an entry that is a list",
     "pipeline:\n"
     "  - [fake]\n",
     "2:5: error: found a list where a stage should be; write  - plugin: NAME\n"},
    {"an entry that is empty",
     "pipeline:\n"
     "  - {plugin: fake, place: p}\n"
     "  -\n",
     "3:4: error: found nothing where a stage should be; write  - plugin: NAME\n"},
    {"a plugin that is a path",
     "pipeline:\n"
     "  - {plugin: ./fake.so, place: p}\n",
     "2:14: error: './fake.so' is not a plugin's name; write the bare name (a-z, 0-9, '-', at most 32), without "
     "directory or .so\n"},
    {"a plugin in capitals", "pipeline: [{plugin: Fake, place: p}]\n",
     "1:21: error: 'Fake' is not a plugin's name; write the bare name (a-z, 0-9, '-', at most 32), without directory "
     "or .so\n"},
    {"a plugin without a value",
     "pipeline:\n"
     "  - plugin:\n"
     "    place: p\n",
     "2:5: error: 'plugin' needs a name, found nothing; write for example 'fs'\n"},
    {"a plugin that is a list", "pipeline: [{plugin: [fake], place: p}]\n",
     "1:21: error: 'plugin' needs a name, found a list; write for example 'fs'\n"},
    {"a plugin's name that is too long", "pipeline: [a123456789-123456789-123456789-123]\n",
     "1:12: error: 'a123456789-123456789-123456789-123' is not a plugin's name; write the bare name (a-z, 0-9, '-', at "
     "most 32), without directory or .so\n"},
    {"a bare name for a plugin with a required key", "pipeline: [fake]\n",
     "1:12: error: stage 'fake': place: this key is required: where it goes; add 'place: ...'\n"},
    {"a stage name with a blank", "pipeline: [{plugin: fake, name: my sink, place: p}]\n",
     "1:33: error: 'my sink' is not a stage name; use a-z, 0-9, '_' and '-', at most 32, beginning with a letter or "
     "digit\n"},
    {"a stage name that is too long", "pipeline: [{plugin: fake, name: a23456789_123456789_123456789_123, place: p}]\n",
     "1:33: error: 'a23456789_123456789_123456789_123' is not a stage name; use a-z, 0-9, '_' and '-', at most 32, "
     "beginning with a letter or digit\n"},
    {"a stage name that is empty", "pipeline: [{plugin: fake, name: \"\", place: p}]\n",
     "1:33: error: '' is not a stage name; use a-z, 0-9, '_' and '-', at most 32, beginning with a letter or digit\n"},
    {"two stages with one name",
     "pipeline:\n"
     "  - {plugin: fake, place: p}\n"
     "  - {plugin: fake, place: q}\n",
     "3:5: error: the stage name 'fake' is taken by the entry on line 2; give this one a 'name' of its own\n"},
    {"a given name that is taken",
     "pipeline:\n"
     "  - {plugin: fake, name: main, place: p}\n"
     "  - {plugin: fake, name: main, place: q}\n",
     "3:26: error: the stage name 'main' is taken by the entry on line 2; give this one a 'name' of its own\n"},
    {"a service with the name of a stage", PIPELINE "services: [{plugin: fake, place: p}]\n",
     "2:12: error: the stage name 'fake' is taken by the entry on line 1; give this one a 'name' of its own\n"},
    {"an unknown key of a stage", STAGE "    directry: /x\n",
     "4:5: error: stage 'fake': unknown key 'directry'; did you mean 'directory'?\n"},
    {"an unknown key with no near name in a stage", STAGE "    colour: red\n",
     "4:5: error: stage 'fake': unknown key 'colour'; " STAGE_KEYS},
    {"a missing required key",
     "pipeline:\n"
     "  - plugin: fake\n"
     "    name: main\n",
     "2:5: error: stage 'main': place: this key is required: where it goes; add 'place: ...'\n"},
    {"a required key that is empty",
     "pipeline:\n"
     "  - {plugin: fake, place: \"\"}\n",
     "2:27: error: stage 'fake': place: this key is required but empty; write a text\n"},
    {"a required key emptied by a variable",
     "pipeline:\n"
     "  - {plugin: fake, place: \"${NO_SUCH:-}\"}\n",
     "2:27: error: stage 'fake': place: this key is required but empty; write a text\n"},
    {"a choice that does not exist", STAGE "    mode: token\n",
     "4:11: error: stage 'fake': mode: 'token' is not a choice; write one of open, tokens, control; did you mean "
     "'tokens'?\n"},
    {"yes for a boolean", STAGE "    ssl: yes\n",
     "4:10: error: stage 'fake': ssl: 'yes' is neither true nor false; write true or false\n"},
    {"a number for a boolean", STAGE "    ssl: 1\n",
     "4:10: error: stage 'fake': ssl: '1' is neither true nor false; write true or false\n"},
    {"a number below its least", STAGE "    workers: 0\n",
     "4:14: error: stage 'fake': workers: '0' is too small; the smallest value is 1\n"},
    {"a number above its most", STAGE "    workers: 65\n",
     "4:14: error: stage 'fake': workers: '65' is too large; the largest value is 64\n"},
    {"a number below a negative least", STAGE "    offset: -6\n",
     "4:13: error: stage 'fake': offset: '-6' is too small; the smallest value is -5\n"},
    {"a number with a comma", STAGE "    share: 0,5\n",
     "4:12: error: stage 'fake': share: '0,5' is not a number; write a number, for example 0.5\n"},
    {"a fraction above its most", STAGE "    share: 1.5\n",
     "4:12: error: stage 'fake': share: '1.5' is too large; the largest value is 1\n"},
    {"a negative fraction", STAGE "    share: -0.1\n",
     "4:12: error: stage 'fake': share: '-0.1' is too small; the smallest value is 0\n"},
    {"an exponent", STAGE "    share: 1e-3\n",
     "4:12: error: stage 'fake': share: '1e-3' is not a number; write a number, for example 0.5\n"},
    {"a size below its least", STAGE "    room: 1KiB\n",
     "4:11: error: stage 'fake': room: '1KiB' is too small; the smallest value is 64KiB\n"},
    {"a duration above its most", STAGE "    interval_ms: 2m\n",
     "4:18: error: stage 'fake': interval_ms: '2m' is too large; the largest value is 1m\n"},
    {"a list for a path", STAGE "    directory: [a, b]\n",
     "4:16: error: stage 'fake': directory: found a list; write a path, for example /srv/data\n"},
    {"a path without a value", STAGE "    directory:\n",
     "4:5: error: stage 'fake': directory: has no value; write a path, for example /srv/data, or leave the key out\n"},
    {"a mapping for a list", STAGE "    hosts: {a: b}\n",
     "4:12: error: stage 'fake': hosts: found a mapping; write a list of texts, for example [a, b]\n"},
    {"a list in a list", STAGE "    hosts: [a, [b]]\n",
     "4:16: error: stage 'fake': hosts: found a list as an element of the list; write a list of texts, for example [a, "
     "b]\n"},
    {"a list for a mapping", STAGE "    tags: [a, b]\n",
     "4:11: error: stage 'fake': tags: found a list; write a mapping of texts, for example {name: value}\n"},
    {"a text for a mapping", STAGE "    tags: a=b\n",
     "4:11: error: stage 'fake': tags: found a single value; write a mapping of texts, for example {name: value}\n"},
    {"a mapping in a mapping", STAGE "    tags: {a: {b: c}}\n",
     "4:15: error: stage 'fake': tags: found a mapping as a value in the mapping; write a mapping of texts, for "
     "example {name: value}\n"},
    {"a value missing in a mapping", STAGE "    tags: {a: b, c: }\n",
     "4:21: error: stage 'fake': tags: found nothing as a value in the mapping; write a mapping of texts, for example "
     "{name: value}\n"},
    {"an equals sign in a key of a mapping", STAGE "    tags: {a=b: c}\n",
     "4:12: error: stage 'fake': tags: the key 'a=b' holds a '='; remove it\n"},
    {"a list for a secret", STAGE "    api_key: [hunter2]\n",
     "4:14: error: stage 'fake': api_key: found a list; write a text\n"},
    {"a secret and its file",
     STAGE "    api_key: hunter2\n"
           "    api_key_file: /run/key\n",
     "5:5: error: stage 'fake': api_key_file: 'api_key' is given too; keep one of the two\n"},
    {"a secret file that is missing", STAGE "    api_key_file: no-such-file\n",
     "4:19: error: stage 'fake': api_key_file: cannot open '/etc/no-such-file': No such file or directory\n"},
    {"a secret file without a value", STAGE "    api_key_file:\n",
     "4:5: error: stage 'fake': api_key_file: has no value; write a path, for example /srv/data, or leave the key "
     "out\n"},
    {"a secret file that is a directory", STAGE "    api_key_file: /\n",
     "4:19: error: stage 'fake': api_key_file: '/' is not a regular file\n"},
    {"a misspelt secret file", STAGE "    api_key_fiel: /run/key\n",
     "4:5: error: stage 'fake': unknown key 'api_key_fiel'; did you mean 'api_key_file'?\n"},
    {"mistakes in core and stages together",
     "ack: disc\n"
     "webhook: {prot: 1}\n"
     "pipeline:\n"
     "  - {plugin: fake, place: p, ssl: maybe}\n"
     "  - {plugin: fake, name: b, place: p, workers: 0, x: y}\n",
     "1:6: error: ack: 'disc' is not a choice; write one of memory, disk, sink; did you mean 'disk'?\n"
     "2:11: error: webhook: unknown key 'prot'; did you mean 'port'?\n"
     "4:35: error: stage 'fake': ssl: 'maybe' is neither true nor false; write true or false\n"
     "5:48: error: stage 'b': workers: '0' is too small; the smallest value is 1\n"
     "5:51: error: stage 'b': unknown key 'x'; " STAGE_KEYS},
};

int main(void)
{
    return run_cases("config errors stages", cases, sizeof cases / sizeof cases[0]);
}
