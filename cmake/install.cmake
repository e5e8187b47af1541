# What `cmake --install` puts in place: libbanyan, its public headers, the tool, and the files for find_package(banyan).
include(CMakePackageConfigHelpers)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/banyan)

install(TARGETS banyan EXPORT banyanTargets)
install(DIRECTORY include/banyan DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} PATTERN seastar_bootstrap.hpp EXCLUDE)
if(TARGET banyan_for_seastar)
  install(FILES include/banyan/seastar_bootstrap.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/banyan)
  install(TARGETS banyan_for_seastar EXPORT banyanSeastarTargets)
  install(EXPORT banyanSeastarTargets NAMESPACE banyan:: DESTINATION ${config_dir})
endif()
install(EXPORT banyanTargets NAMESPACE banyan:: DESTINATION ${config_dir})
configure_package_config_file(cmake/banyanConfig.cmake.in ${PROJECT_BINARY_DIR}/banyanConfig.cmake
                              INSTALL_DESTINATION ${config_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/banyanConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/banyanConfig.cmake ${PROJECT_BINARY_DIR}/banyanConfigVersion.cmake
        DESTINATION ${config_dir})
