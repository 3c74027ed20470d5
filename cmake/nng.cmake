# nng, linked statically, with the cures of its defects (service/net/nng_cures.c says which).
#
# nng_static: what the daemon, the command line and the tests link. The cures replace functions
# inside nng by the linker's --wrap, which reaches only what is linked in: a shared libnng.so keeps
# its defects. Debian's libnng.a is not position independent, so a shared library of ours can't
# have it: libmxadm.so links the stock library and avoids what wakes its defects.
find_path(NNG_INCLUDE_DIR nng/nng.h REQUIRED)
find_library(NNG_ARCHIVE libnng.a REQUIRED)
foreach(part mbedtls mbedx509 mbedcrypto)
  find_library(NNG_${part} ${part} REQUIRED)
  list(APPEND nng_needs ${NNG_${part}})
endforeach()

file(STRINGS ${NNG_INCLUDE_DIR}/nng/nng.h nng_version_lines REGEX "#define NNG_(MAJOR|MINOR|PATCH)_VERSION")
string(REGEX REPLACE "[^0-9;]" "" nng_version "${nng_version_lines}")
string(REPLACE ";" "." nng_version "${nng_version}")

option(MXADM_NNG_CURES "cure the defects of nng before 1.11 (OFF: to see unit.net.churn fail)" ON)

add_library(nng_archive STATIC IMPORTED GLOBAL)
set_target_properties(nng_archive PROPERTIES
  IMPORTED_LOCATION ${NNG_ARCHIVE}
  INTERFACE_INCLUDE_DIRECTORIES ${NNG_INCLUDE_DIR}
  INTERFACE_COMPILE_DEFINITIONS NNG_STATIC_LIB)
target_link_libraries(nng_archive INTERFACE ${nng_needs} Threads::Threads atomic)

add_library(nng_static INTERFACE)
target_link_libraries(nng_static INTERFACE nng_archive)
if(MXADM_NNG_CURES AND nng_version VERSION_LESS 1.11)
  # The two archives need each other: nng calls the wraps, the wraps call nng.
  add_library(nng_cures STATIC ${CMAKE_SOURCE_DIR}/service/net/nng_cures.c)
  target_link_libraries(nng_cures PUBLIC nng_archive PRIVATE mxadm_flags)
  target_link_libraries(nng_archive INTERFACE nng_cures)
  foreach(function nni_aio_begin nng_stream_recv nng_stream_send nni_pipe_send nni_plat_errno)
    target_link_options(nng_static INTERFACE LINKER:--wrap=${function})
  endforeach()
endif()
message(STATUS "nng ${nng_version} from ${NNG_ARCHIVE}")
