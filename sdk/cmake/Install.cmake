# SPDX-License-Identifier: Apache-2.0
# Installs the SDK so that it works from any prefix and can be moved: every path in it is relative to the file that
# names it. `cmake --install BUILD --component sdk` installs this part alone.
include(CMakePackageConfigHelpers)

# The package's version is the ABI's, since that is what a plugin depends on.
file(READ ${CMAKE_CURRENT_SOURCE_DIR}/include/bfr/abi.h abi_header)
string(REGEX MATCH "BFR_ABI_MAJOR UINT32_C\\(([0-9]+)\\)" matched "${abi_header}")
set(abi_major ${CMAKE_MATCH_1})
string(REGEX MATCH "BFR_ABI_MINOR UINT32_C\\(([0-9]+)\\)" matched "${abi_header}")
set(BFR_SDK_VERSION ${abi_major}.${CMAKE_MATCH_1})

set(BFR_SDK_DATADIR ${CMAKE_INSTALL_DATADIR}/bytefreezer-receiver-sdk)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/bytefreezer-receiver-sdk)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH BFR_SDK_PC_TO_PREFIX /${pkgconfig_dir} /)
string(REGEX REPLACE "/$" "" BFR_SDK_PC_TO_PREFIX "${BFR_SDK_PC_TO_PREFIX}")

configure_file(cmake/bytefreezer-receiver-sdk.pc.in bytefreezer-receiver-sdk.pc @ONLY)
configure_file(cmake/bytefreezer-receiver-sdk-http.pc.in bytefreezer-receiver-sdk-http.pc @ONLY)
configure_package_config_file(cmake/bytefreezer-receiver-sdkConfig.cmake.in bytefreezer-receiver-sdkConfig.cmake
    INSTALL_DESTINATION ${package_dir} PATH_VARS BFR_SDK_DATADIR)
write_basic_package_version_file(bytefreezer-receiver-sdkConfigVersion.cmake
    VERSION ${BFR_SDK_VERSION} COMPATIBILITY SameMajorVersion)

set_target_properties(bfr-sdk PROPERTIES EXPORT_NAME sdk)
set_target_properties(bfr-sdk-http PROPERTIES EXPORT_NAME http)
set_target_properties(bfr-testkit PROPERTIES EXPORT_NAME testkit)
set_target_properties(bfr-check-plugin PROPERTIES EXPORT_NAME check-plugin)
install(TARGETS bfr-sdk bfr-sdk-http bfr-testkit bfr-check-plugin EXPORT bytefreezer-receiver-sdk
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT sdk)
install(EXPORT bytefreezer-receiver-sdk NAMESPACE bytefreezer-receiver::
    FILE bytefreezer-receiver-sdkTargets.cmake DESTINATION ${package_dir} COMPONENT sdk)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/bytefreezer-receiver-sdkConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/bytefreezer-receiver-sdkConfigVersion.cmake
    DESTINATION ${package_dir} COMPONENT sdk)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/bytefreezer-receiver-sdk.pc
    ${CMAKE_CURRENT_BINARY_DIR}/bytefreezer-receiver-sdk-http.pc
    DESTINATION ${pkgconfig_dir} COMPONENT sdk)
install(DIRECTORY include/bfr testkit/include/bfr DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk)
install(FILES plugin.map README.md CHANGELOG-ABI.md DESTINATION ${BFR_SDK_DATADIR} COMPONENT sdk)
install(DIRECTORY examples DESTINATION ${BFR_SDK_DATADIR} COMPONENT sdk
    PATTERN examples/CMakeLists.txt EXCLUDE)
