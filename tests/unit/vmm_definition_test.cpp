#include "vmm/definition.h"

#include <gtest/gtest.h>

namespace lom::vmm::test {
namespace {

HostDefinition full() {
    HostDefinition definition;
    definition.name = "host-7";
    definition.processors = 2;
    definition.memory_mib = 256;
    definition.machine = Machine::pc;
    definition.firmware = Firmware::uefi;
    definition.disks = {{"disk0", 1U << 30U}, {"disk3", 1U << 20U}};
    definition.nics = {{"net0", ""}, {"net5", "02:00:5e:10:00:01"}};
    definition.identity.product_name = "A, \"quoted\" \\ name";
    definition.identity.asset_tag = "rack=7";
    complete_definition(definition);
    return definition;
}

std::string fault_of(const std::function<void(HostDefinition&)>& change) {
    HostDefinition definition = full();
    change(definition);
    const auto fine = check_definition(definition);
    return fine ? "" : fine.fault().message;
}

TEST(Definition, is_completed_once) {
    HostDefinition definition = full();
    EXPECT_EQ(definition.identity.uuid.size(), 36U);
    EXPECT_EQ(definition.identity.uuid[14], '4');
    EXPECT_EQ(definition.identity.serial_number.substr(0, 2), "OL");
    EXPECT_EQ(definition.nics[0].mac.substr(0, 9), "02:00:5e:");
    const std::string before = definition_to_json(definition);
    complete_definition(definition);
    EXPECT_EQ(definition_to_json(definition), before);
    EXPECT_TRUE(check_definition(definition));
}

TEST(Definition, survives_its_file) {
    const std::string json = definition_to_json(full());
    const auto read = definition_from_json(json);
    ASSERT_TRUE(read) << read.fault().message;
    EXPECT_EQ(definition_to_json(*read), json);
    EXPECT_EQ(read->machine, Machine::pc);
    EXPECT_EQ(read->firmware, Firmware::uefi);
    EXPECT_EQ(read->identity.product_name, "A, \"quoted\" \\ name");
    EXPECT_EQ(read->disks.at(1).name, "disk3");
}

TEST(Definition, of_a_larger_machine_can_be_read_but_does_not_fit) {
    HostDefinition definition = full();
    definition.memory_mib = 1U << 30U;
    const auto read = definition_from_json(definition_to_json(definition));
    ASSERT_TRUE(read) << read.fault().message;
    EXPECT_FALSE(check_definition(*read));
}

TEST(Definition, hostile_files_are_refused) {
    const std::string good = definition_to_json(full());
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        const std::size_t at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        return text.replace(at, from.size(), to);
    };
    for (const std::string& text :
         {std::string(""), std::string("null"), std::string("[]"), std::string("{}"),
          good.substr(0, good.size() / 2), with("host-7", "../host"), with("host-7", "HOST"),
          with("disk3", "disk0"), with("disk3", "disk99999999999999999999"),
          with("disk3", "../disk"), with("1048576", "1"), with("1048576", "-1"),
          with("1048576", "1e30"), with("net5", "net8"),
          with("02:00:5e:10:00:01", "03:00:5e:10:00:01"),
          with("02:00:5e:10:00:01", "02-00-5e-10-00-01"), with("rack=7", "a\\nb"),
          with("rack=7", std::string(65, 'x')), with("rack=7", "\\u00e4")})
        EXPECT_FALSE(definition_from_json(text)) << text;
    EXPECT_FALSE(check_definition(HostDefinition{}));
}

TEST(Definition, sentences_name_what_does_not_fit) {
    EXPECT_EQ(fault_of([](auto&) {}), "");
    const auto says = [](const std::string& fault, const std::string& word) {
        EXPECT_NE(fault.find(word), std::string::npos) << fault;
    };
    says(fault_of([](auto& d) { d.processors = 0; }), "processors on this machine");
    says(fault_of([](auto& d) { d.processors = 4096; }), "processors on this machine");
    says(fault_of([](auto& d) { d.memory_mib = 63; }), "64 MB to");
    says(fault_of([](auto& d) { d.memory_mib = ~0U; }), "memory on this machine");
    says(fault_of([](auto& d) { d.name = "a b"; }), "name");
    says(fault_of([](auto& d) { d.identity.uuid = "1,2"; }), "uuid");
    says(fault_of([](auto& d) { d.nics[0].mac = d.nics[1].mac; }), "already");
    says(fault_of([](auto& d) { d.disks.push_back({"floppy", 1U << 20U}); }), "disk0 to disk7");
}

} // namespace
} // namespace lom::vmm::test
