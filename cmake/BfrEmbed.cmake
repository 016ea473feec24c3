# SPDX-License-Identifier: Apache-2.0
# bfr_embed(target NAME FILE): FILE, with the project's version at @PROJECT_VERSION@, as `bfr_embedded_NAME` in the target.
# bfr_embed_page(target NAME PAGE STYLE SCRIPT): the same of PAGE, with the two other files, or lists of files one
# behind the other, at @STYLE@ and @SCRIPT@: one page that asks for nothing else.
#
# Both work at configure time, and again when a file changes; core/http_admin_embedded.h has the C side.
function(bfr_embed_text target name text)
    string(HEX "${text}" hex)
    string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
    set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded_${name}.c)
    file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[
// Made by cmake/BfrEmbed.cmake.
#include "http_admin_embedded.h"

static const unsigned char bytes[] = {
@hex@
};

const struct bfr_embedded bfr_embedded_@name@ = {(const char *)bytes, sizeof bytes};
]])
    target_sources(${target} PRIVATE ${source})
endfunction()

# The files change the build, so a change of one configures again.
function(bfr_embed_read file out)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} text)
    set(${out} "${text}" PARENT_SCOPE)
endfunction()

function(bfr_embed target name file)
    bfr_embed_read(${file} text)
    string(REPLACE "@PROJECT_VERSION@" "${PROJECT_VERSION}" text "${text}")
    bfr_embed_text(${target} ${name} "${text}")
endfunction()

function(bfr_embed_join files out)
    set(all "")
    foreach(file IN LISTS files)
        bfr_embed_read(${file} text)
        string(APPEND all "${text}")
    endforeach()
    set(${out} "${all}" PARENT_SCOPE)
endfunction()

function(bfr_embed_page target name page style script)
    bfr_embed_read(${page} text)
    bfr_embed_join("${style}" style_text)
    bfr_embed_join("${script}" script_text)
    string(REPLACE "@STYLE@" "${style_text}" text "${text}")
    string(REPLACE "@SCRIPT@" "${script_text}" text "${text}")
    bfr_embed_text(${target} ${name} "${text}")
endfunction()
