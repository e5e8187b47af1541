# The libraries we use. banyanConfig.cmake.in repeats those that an installed static libbanyan needs.
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
if(BANYAN_FUZZ)
  return()
endif()
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)

# Not in Debian: who wants the driver for it has built it (docs/seastar.md).
set(BANYAN_SEASTAR AUTO CACHE STRING "The Seastar driver: AUTO (where Seastar is found), ON or OFF")
set(Seastar_FOUND FALSE)
if(BANYAN_SEASTAR STREQUAL "AUTO" AND NOT BANYAN_SANITIZE)  # sanitizers need a Seastar that was built for them
  find_package(Seastar QUIET)
elseif(BANYAN_SEASTAR AND NOT BANYAN_SEASTAR STREQUAL "AUTO")
  find_package(Seastar REQUIRED)
endif()
if(Seastar_FOUND)
  message(STATUS "Seastar ${Seastar_VERSION} in ${Seastar_DIR}: its driver is built")
elseif(BANYAN_SEASTAR STREQUAL "AUTO" AND NOT BANYAN_SANITIZE)
  message(STATUS "Seastar was not found: its driver is left out (docs/seastar.md)")
endif()

# Asio is headers only by default, which costs seconds in every file: compile its sources once.
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/asio.cc CONTENT "#include <asio/impl/src.hpp>\n")
add_library(banyan_asio STATIC ${PROJECT_BINARY_DIR}/asio.cc)
target_include_directories(banyan_asio SYSTEM PUBLIC ${ASIO_INCLUDE_DIR})
target_link_libraries(banyan_asio PUBLIC Threads::Threads)
target_compile_definitions(banyan_asio PUBLIC
  ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_SEPARATE_COMPILATION
  # Asio 1.22 finds aligned_alloc only in files that include a standard header before it: all must agree on one.
  ASIO_DISABLE_STD_ALIGNED_ALLOC
  # clang-tidy 14 reads the code too, and Asio does not notice by itself that it knows coroutines.
  $<$<CXX_COMPILER_ID:Clang>:ASIO_HAS_CO_AWAIT ASIO_HAS_STD_COROUTINE>)
if(BANYAN_SANITIZE STREQUAL thread)
  # TSan can't follow fences: with them Asio 1.22 looks racy under it.
  target_compile_definitions(banyan_asio PUBLIC ASIO_DISABLE_FENCED_BLOCK)
endif()
