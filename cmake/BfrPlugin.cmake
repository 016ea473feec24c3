# SPDX-License-Identifier: Apache-2.0
# bfr_add_plugin(name source...): plugins/<name>.so in the build tree, one exported symbol, nothing undefined, only the
# SDK's headers to include.
set(BFR_PLUGIN_INSTALL_DIR "lib/bytefreezer-receiver/plugins" CACHE STRING "Where plugins go, below the prefix")

function(bfr_add_plugin name)
    set(target plugin-${name})
    add_library(${target} MODULE ${ARGN})
    target_link_libraries(${target} PRIVATE bfr-sdk)
    set_target_properties(${target} PROPERTIES
        PREFIX "" OUTPUT_NAME ${name}
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
    target_link_options(${target} PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/sdk/plugin.map)
    if(BFR_SANITIZE STREQUAL "")
        target_link_options(${target} PRIVATE -Wl,-z,defs)
    endif()
    install(TARGETS ${target} LIBRARY DESTINATION ${BFR_PLUGIN_INSTALL_DIR})
endfunction()
