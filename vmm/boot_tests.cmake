# Tests of boot control and of the KVM probe; included by CMakeLists.txt of this folder.
lom_unit_test(vmm_boot_tests lom_vmm
    ${CMAKE_SOURCE_DIR}/tests/unit/vmm_boot_control_test.cpp
    ${CMAKE_SOURCE_DIR}/tests/unit/vmm_boot_prompt_test.cpp
    ${CMAKE_SOURCE_DIR}/tests/unit/vmm_boot_state_test.cpp
    ${CMAKE_SOURCE_DIR}/tests/unit/vmm_kvm_probe_test.cpp)

# The probe alone, for tests/nested and for people who wonder.
lom_program(kvm-probe ${CMAKE_SOURCE_DIR}/tests/nested/kvm_probe_main.cpp)
target_link_libraries(kvm-probe PRIVATE lom_vmm)
set_target_properties(kvm-probe PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
