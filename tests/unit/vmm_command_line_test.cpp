#include "vmm/command_line.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lom::vmm::test {
namespace {

const HostFiles files{"/d,x/host", "/r,x/host"};

HostDefinition small() {
    HostDefinition definition;
    definition.name = "host0";
    definition.identity.uuid = "01234567-89ab-4cde-a000-001122334455";
    definition.identity.serial_number = "OL1";
    return definition;
}

HostDefinition with_devices() {
    HostDefinition definition = small();
    definition.disks = {{"disk0", 1U << 30U}, {"disk1", 1U << 30U}};
    definition.nics = {{"net0", "02:00:5e:00:11:00"}, {"net1", "02:00:5e:00:11:01"}};
    return definition;
}

using Line = std::vector<std::string>;

Line line(const HostDefinition& definition, std::vector<std::string> order = {"disk"}) {
    Launch launch;
    launch.qemu = "qemu";
    launch.plan.order = std::move(order);
    return command_line(definition, files, launch);
}

/// All values that follow `option`.
std::string values(const Line& arguments, const std::string& option) {
    std::string text;
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i)
        if (arguments[i] == option)
            text += arguments[i + 1] + "\n";
    return text;
}

/// The value of `option` that holds `part`.
std::string value(const Line& arguments, const std::string& option, const std::string& part) {
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i)
        if (arguments[i] == option && arguments[i + 1].find(part) != std::string::npos)
            return arguments[i + 1];
    return "none";
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(CommandLine, of_the_smallest_host) {
    EXPECT_EQ(line(small()),
              (Line{"qemu",
                    "-nodefaults",
                    "-no-user-config",
                    "-name",
                    "guest=host0,process=openlom-host0",
                    "-machine",
                    "q35,graphics=off,vmport=off",
                    "-accel",
                    "tcg,tb-size=128",
                    "-cpu",
                    "max",
                    "-smp",
                    "1",
                    "-m",
                    "1024M",
                    "-rtc",
                    "base=utc",
                    "-action",
                    "reboot=reset,shutdown=pause,panic=pause",
                    "-boot",
                    "strict=on",
                    "-sandbox",
                    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                    "-pidfile",
                    "/r,x/host/qemu/pid",
                    "-trace",
                    "enable=qemu_system_shutdown_request",
                    "-chardev",
                    "socket,id=mon0,path=/r,,x/host/qemu/qmp.sock,server=on,wait=off",
                    "-mon",
                    "chardev=mon0,mode=control",
                    "-chardev",
                    "socket,id=mon1,path=/r,,x/host/qemu/qmp2.sock,server=on,wait=off",
                    "-mon",
                    "chardev=mon1,mode=control",
                    "-chardev",
                    "pipe,id=serial0,path=/r,,x/host/qemu/serial,logfile=/d,,x/host/console.log,"
                    "logappend=on",
                    "-serial",
                    "chardev:serial0",
                    "-vga",
                    "std",
                    "-display",
                    "none",
                    "-vnc",
                    "unix:/r,,x/host/qemu/vnc.sock,share=force-shared",
                    "-uuid",
                    "01234567-89ab-4cde-a000-001122334455",
                    "-smbios",
                    "type=0,vendor=OpenLOM,version=" LOM_VERSION,
                    "-smbios",
                    "type=1,manufacturer=OpenLOM,product=Virtual Host,serial=OL1",
                    "-smbios",
                    "type=2,manufacturer=OpenLOM,product=Virtual Host,serial=OL1",
                    "-smbios",
                    "type=3,manufacturer=OpenLOM,serial=OL1",
                    "-device",
                    "virtio-rng-pci,addr=0x5",
                    "-device",
                    "pvpanic-pci,addr=0x6",
                    "-device",
                    "qemu-xhci,id=usb,p2=8,p3=8,addr=0x4",
                    "-device",
                    "usb-tablet,bus=usb.0",
                    "-device",
                    "usb-bot,id=bot0,bus=usb.0,port=2",
                    "-device",
                    "scsi-cd,id=cd0,bus=bot0.0,scsi-id=0,lun=0,rerror=enospc",
                    "-device",
                    "usb-bot,id=bot1,bus=usb.0,port=3",
                    "-device",
                    "scsi-cd,id=cd1,bus=bot1.0,scsi-id=0,lun=0,rerror=enospc"}));
}

TEST(CommandLine, machine_processors_memory_acceleration) {
    HostDefinition definition = small();
    definition.machine = Machine::pc;
    definition.processors = 3;
    definition.memory_mib = 512;
    const Line arguments = command_line(definition, files, {"qemu", Acceleration::kvm, {}});
    EXPECT_EQ(values(arguments, "-machine"), "pc,graphics=off,vmport=off\n");
    EXPECT_EQ(values(arguments, "-smp"), "3\n");
    EXPECT_EQ(values(arguments, "-m"), "512M\n");
    EXPECT_EQ(values(arguments, "-accel"), "kvm\n"); // exactly one: QEMU's own fallback is no probe
    EXPECT_EQ(values(arguments, "-cpu"), "host\n");
}

TEST(CommandLine, identity_doubles_commas) {
    HostDefinition definition = small();
    definition.identity.manufacturer = "Acme, Inc.";
    definition.identity.product_name = "a,,b,serial=evil";
    definition.identity.part_number = "P=1";
    definition.identity.asset_tag = ",";
    const std::string smbios = values(line(definition), "-smbios");
    EXPECT_TRUE(has(smbios, "type=1,manufacturer=Acme,, Inc.,product=a,,,,b,,serial=evil,"
                            "serial=OL1,sku=P=1\n"))
        << smbios;
    EXPECT_TRUE(has(smbios, "type=3,manufacturer=Acme,, Inc.,serial=OL1,asset=,,\n")) << smbios;
}

TEST(CommandLine, uefi_has_variables_of_its_own) {
    HostDefinition definition = small();
    definition.firmware = Firmware::uefi;
    const Line arguments = line(definition);
    EXPECT_TRUE(has(values(arguments, "-drive"), "readonly=on,file=" + std::string(uefi_code)));
    EXPECT_TRUE(has(values(arguments, "-drive"), "unit=1,format=raw,file=/d,,x/host/uefi-vars.fd"));
    EXPECT_TRUE(has(values(arguments, "-smbios"), "uefi=on"));
    EXPECT_FALSE(has(values(line(small()), "-drive"), "pflash"));
}

TEST(CommandLine, only_what_the_plan_names_can_be_booted) {
    const Line arguments = line(with_devices(), {"rcdrom", "disk"});
    EXPECT_TRUE(has(value(arguments, "-device", "scsi-cd"), ",bootindex=0"));
    EXPECT_TRUE(has(value(arguments, "-device", "id=disk0"), ",bootindex=1"));
    EXPECT_FALSE(has(value(arguments, "-device", "id=disk1"), "bootindex"));
    EXPECT_FALSE(has(value(arguments, "-device", "id=net0"), "bootindex"));
    EXPECT_TRUE(has(values(arguments, "-boot"), "strict=on"));
}

TEST(CommandLine, a_boot_rom_only_where_the_net_may_be_booted) {
    const Line arguments = line(with_devices(), {"net1", "disk1"});
    EXPECT_TRUE(has(value(arguments, "-device", "id=net0"), ",romfile="));
    EXPECT_FALSE(has(value(arguments, "-device", "id=net1"), "romfile"));
    EXPECT_TRUE(has(value(arguments, "-device", "id=net1"), ",bootindex=0"));
    EXPECT_TRUE(has(value(arguments, "-device", "id=disk1"), ",bootindex=1"));
    EXPECT_TRUE(has(value(line(with_devices(), {"net"}), "-device", "id=net0"), ",bootindex=0"));
}

TEST(CommandLine, disks_and_interfaces) {
    const Line arguments = line(with_devices());
    EXPECT_EQ(value(arguments, "-blockdev", "disk1"),
              "driver=qcow2,node-name=disk1-image,discard=unmap,file.driver=file,"
              "file.filename=/d,,x/host/disk1.qcow2");
    EXPECT_TRUE(has(value(arguments, "-device", "id=disk1"), "serial=disk1,addr=0x9"));
    EXPECT_EQ(value(arguments, "-netdev", "net1"), "user,id=net1-user");
    EXPECT_TRUE(has(value(arguments, "-device", "id=net1"), "mac=02:00:5e:00:11:01,addr=0x11"));
}

TEST(CommandLine, firmware_setup_waits_for_a_key) {
    Launch launch;
    launch.plan.firmware_setup = true;
    EXPECT_TRUE(has(values(command_line(small(), files, launch), "-boot"), "menu=on"));
}

TEST(BootDevices, have_the_slots_of_the_command_line) {
    const auto devices = boot_devices(with_devices());
    const auto path = [&](const std::string& alias) {
        const auto found = std::find_if(devices.begin(), devices.end(),
                                        [&](const auto& device) { return device.alias == alias; });
        return found == devices.end() ? "none" : found->path;
    };
    EXPECT_EQ(path("rcdrom"), "/pci@0,0/usb@4/storage@1/disk@0,0");
    EXPECT_EQ(path("cdrom"), path("rcdrom"));
    EXPECT_EQ(path("disk"), path("disk0"));
    EXPECT_EQ(path("disk1"), "/pci@0,0/virtio-blk@9/disk@0");
    EXPECT_EQ(path("net1"), "/pci@0,0/ethernet@11");
    EXPECT_EQ(path("disk2"), "none");
}

TEST(CommandLine, only_the_ok_prompt_holds_the_processor_back) {
    Launch launch;
    launch.plan.stop_at_ok = true;
    const auto arguments = command_line(small(), files, launch);
    EXPECT_EQ(1, std::count(arguments.begin(), arguments.end(), "-S"));
    EXPECT_EQ(0, std::ranges::count(line(small()), "-S"));
}

TEST(CommandLine, a_reboot_that_is_to_be_decided_stops_qemu) {
    Launch launch;
    launch.trap_reboot = true;
    EXPECT_EQ("reboot=shutdown,shutdown=pause,panic=pause",
              value(command_line(small(), files, launch), "-action", "reboot"));
}

TEST(CommandLine, the_medium_is_in_the_drive_from_the_start) {
    Launch launch;
    launch.media[0].file = "/r,x/a.iso";
    const auto arguments = command_line(small(), files, launch);
    EXPECT_EQ("driver=raw,node-name=cd-1,read-only=on,file.driver=file,file.read-only=on,"
              "file.locking=off,file.filename=/r,,x/a.iso",
              value(arguments, "-blockdev", "cd-1"));
    EXPECT_NE(std::string::npos, values(arguments, "-device").find("rerror=enospc,drive=cd-1"));
}

} // namespace
} // namespace lom::vmm::test
