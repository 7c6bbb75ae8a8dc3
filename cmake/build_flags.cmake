# What every target of this project is compiled with; dependencies are not.
option(FUZZ "Build the fuzz targets with libFuzzer (clang only)" OFF)
set(SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")

add_library(build_flags INTERFACE)
target_compile_features(build_flags INTERFACE c_std_17)
target_compile_definitions(build_flags INTERFACE _GNU_SOURCE)
target_compile_options(build_flags INTERFACE
	-Wall -Wextra -Wshadow -Wvla -Wundef -Wpointer-arith -Wcast-qual -Wwrite-strings
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wformat=2
	-Wimplicit-fallthrough -Wswitch-enum -fno-common
	$<$<C_COMPILER_ID:GNU>:-Wlogical-op -Wduplicated-cond -Wjump-misses-init
		-Wno-format-truncation>
	-include ${CMAKE_SOURCE_DIR}/lib/banned.h)

if(SANITIZE)
	# Frame pointers and -O1: readable reports at a bearable speed.
	target_compile_options(build_flags INTERFACE
		-fsanitize=${SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1)
	target_link_options(build_flags INTERFACE -fsanitize=${SANITIZE})
endif()
if(FUZZ)
	target_compile_options(build_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
	target_compile_options(build_flags INTERFACE
		-D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fPIE)
	if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
		target_compile_options(build_flags INTERFACE -fcf-protection)
	endif()
	target_link_options(build_flags INTERFACE -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack
		-Wl,--as-needed)
endif()
