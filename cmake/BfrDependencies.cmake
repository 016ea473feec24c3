# SPDX-License-Identifier: Apache-2.0
# Every library comes from the distribution; scripts/setup installs them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(libevent REQUIRED IMPORTED_TARGET libevent>=2.1.12 libevent_pthreads)
pkg_check_modules(openssl REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(tls REQUIRED IMPORTED_TARGET libssl>=3.0 libevent_openssl>=2.1.12)
pkg_check_modules(yaml REQUIRED IMPORTED_TARGET yaml-0.1>=0.2.5)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(libcurl REQUIRED IMPORTED_TARGET libcurl>=7.87)
pkg_check_modules(zlib REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(isal REQUIRED IMPORTED_TARGET libisal) # CRC32C
if(BFR_TESTS)
    pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)
endif()
