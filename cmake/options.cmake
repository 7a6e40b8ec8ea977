# Warnings, hardening and sanitizers for every target of ours.
set(LOM_SANITIZE "" CACHE STRING "address, thread or empty")

add_library(lom_options INTERFACE)
target_include_directories(lom_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(lom_options INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Werror
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> # g++ 12 sees it in "literal" + std::string (GCC bug 105651)
    -Wno-missing-field-initializers # designated initialisers leave the rest at its default
    -fstack-protector-strong -fno-omit-frame-pointer)
target_compile_definitions(lom_options INTERFACE LOM_VERSION="${PROJECT_VERSION}")
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT LOM_SANITIZE)
    target_compile_options(lom_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
target_link_options(lom_options INTERFACE -pie -Wl,-z,relro,-z,now)

if(LOM_SANITIZE STREQUAL "address")
    # g++ 12 sees uninitialised members in every std::variant of strings once ASan instruments it.
    target_compile_options(lom_options INTERFACE
        -fsanitize=address,undefined -fno-sanitize-recover=all -Wno-maybe-uninitialized)
    target_link_options(lom_options INTERFACE -fsanitize=address,undefined)
elseif(LOM_SANITIZE STREQUAL "thread")
    # Asio's fences trip -Wtsan; the tool still sees the locks around them.
    target_compile_options(lom_options INTERFACE -fsanitize=thread -Wno-error=tsan)
    target_link_options(lom_options INTERFACE -fsanitize=thread)
endif()

# lom_library(name SOURCES...): one library per folder, no global include path beyond the root.
function(lom_library name)
    add_library(${name} STATIC ${ARGN})
    target_link_libraries(${name} PUBLIC lom_options)
endfunction()

function(lom_program name)
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE lom_options)
endfunction()

function(lom_test_program name library)
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE lom_options ${library} GTest::gmock GTest::gtest_main)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endfunction()

# lom_unit_test(name LIBRARY SOURCES...): a GoogleTest program whose cases ctest knows one by one.
function(lom_unit_test name library)
    lom_test_program(${name} ${library} ${ARGN})
    gtest_discover_tests(${name} PROPERTIES TIMEOUT 60 DISCOVERY_TIMEOUT 30)
endfunction()

# The same for tests that start QEMU; ./check --quick leaves them out.
function(lom_qemu_test name library)
    lom_test_program(${name} ${library} ${ARGN})
    gtest_discover_tests(${name} PROPERTIES LABELS qemu TIMEOUT 120 DISCOVERY_TIMEOUT 30)
endfunction()
