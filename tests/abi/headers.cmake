# SPDX-License-Identifier: Apache-2.0
# The public headers as a stranger's compiler sees them, and the layout that was released.
add_library(abi-layout-1.0 OBJECT layout_1_0.c) # compiling it is the test
target_link_libraries(abi-layout-1.0 PRIVATE bfr-sdk)

set(headers ${CMAKE_SOURCE_DIR}/sdk/include)
add_test(NAME abi/headers_include_nothing_foreign COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/includes.sh ${headers})
foreach(case gcc:c:c99 gcc:c:c11 gcc:c:c17 g++:c++:c++17 clang:c:c99 clang:c:c11 clang:c:c17 clang++:c++:c++17)
    string(REPLACE ":" ";" case ${case})
    list(GET case 0 compiler)
    list(GET case 1 language)
    list(GET case 2 standard)
    find_program(BFR_COMPILER_${compiler} ${compiler})
    if(BFR_COMPILER_${compiler})
        add_test(NAME abi/headers_${compiler}_${standard}
            COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/headers.sh ${headers} ${BFR_COMPILER_${compiler}} ${language} ${standard})
    endif()
endforeach()
