# How our code is compiled.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# The archive goes into other people's shared libraries (plugins, Python modules).
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
# No NDEBUG: assertions stay on in release. Line tables alone keep perf and backtraces readable and halve the objects.
# (A preset's own flags win.)
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
if(NOT BANYAN_SANITIZE AND NOT BANYAN_FUZZ)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
endif()

find_program(BANYAN_CCACHE ccache)
mark_as_advanced(BANYAN_CCACHE)
if(BANYAN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${BANYAN_CCACHE})
endif()

# Linked by every target of ours and by nobody else's. GCC 12 takes the untouched alternatives of a std::variant for
# uninitialized reads, and under sanitizers guesses worse still.
add_library(banyan_own_code INTERFACE)
target_compile_options(banyan_own_code INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
if(BANYAN_WERROR AND NOT BANYAN_SANITIZE)
  target_compile_options(banyan_own_code INTERFACE -Werror)
endif()

# Programs bind their symbols while they are loaded, in one pass, as distributions have it for hardening; a start that
# looks up 200 symbols one by one spends a tenth of its time on that.
add_library(banyan_own_program INTERFACE)
target_link_libraries(banyan_own_program INTERFACE banyan_own_code)
target_link_options(banyan_own_program INTERFACE LINKER:-z,relro,-z,now)

if(BANYAN_SANITIZE)
  add_compile_options(-fsanitize=${BANYAN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${BANYAN_SANITIZE})
  # To look at an object's type it opens a pipe, and some tests leave no descriptor for that.
  add_compile_options(-fno-sanitize=vptr)
  if(BANYAN_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # GCC warns that TSan does not see atomic_thread_fence; Asio's is switched off below, the standard library's is not.
    add_compile_options(-Wno-tsan)
  endif()
endif()
