# Installs the build to a scratch folder, then configures, builds and runs the consumer against that copy.
# usage: cmake -DBUILD=<build folder> -DCOMPILER=<c++> -DGENERATOR=<generator> -P run.cmake
set(scratch ${BUILD}/tests/install)
file(REMOVE_RECURSE ${scratch})

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed: ${ARGV}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${scratch}/prefix)
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${scratch}/build -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_PREFIX_PATH=${scratch}/prefix -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF)
run(${CMAKE_COMMAND} --build ${scratch}/build)
run(${CMAKE_COMMAND} -E env --unset=BANYAN_RANK --unset=BANYAN_WORLD_SIZE ${scratch}/build/consumer)
