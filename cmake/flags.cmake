# All warnings, hardening and sanitizers, in one place.
add_library(mxadm_flags INTERFACE)
target_compile_definitions(mxadm_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE>)
target_compile_options(mxadm_flags INTERFACE
  -Wall -Wextra -Wshadow -Wwrite-strings -Wpointer-arith -Wvla -Wswitch-enum -Wformat=2
  -Wimplicit-fallthrough -fno-strict-aliasing
  -Wno-missing-field-initializers # what a table's row leaves out at its end is nothing
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>)
if(MXADM_WERROR)
  target_compile_options(mxadm_flags INTERFACE -Werror)
endif()
if(MXADM_SANITIZE)
  target_compile_options(mxadm_flags INTERFACE -fsanitize=${MXADM_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(mxadm_flags INTERFACE -fsanitize=${MXADM_SANITIZE})
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(mxadm_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
    -fstack-protector-strong)
  target_link_options(mxadm_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
