# Each public header must compile by itself, as C++17, without a warning: users' compilers are stricter and older than ours.
# usage: cmake -DROOT=<source root> -DCOMPILER=<c++> -P check_public_headers.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB_RECURSE headers ${ROOT}/include/banyan/*.hpp)
# Its users have C++20, as Seastar needs; examples/seastar_hello.cc compiles it.
list(FILTER headers EXCLUDE REGEX seastar_bootstrap)
set(failures "")
foreach(header IN LISTS headers)
  execute_process(
    COMMAND ${COMPILER} -std=c++17 -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wold-style-cast
            -Wundef -Wnon-virtual-dtor -Werror -I${ROOT}/include -include ${header} -x c++ /dev/null
    RESULT_VARIABLE result ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    list(APPEND failures ${header})
    message("${errors}")
  endif()
endforeach()
if(failures)
  message(FATAL_ERROR "not alone compilable as C++17: ${failures}")
endif()
list(LENGTH headers count)
message(STATUS "${count} public headers compile alone as C++17")
