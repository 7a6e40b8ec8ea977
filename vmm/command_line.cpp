#include "vmm/command_line.h"

#include <algorithm>

namespace lom::vmm {

namespace {

// Fixed slots on the root bus, so that device paths and guest names stay when others come and go.
constexpr int usb_slot = 4;
constexpr int random_slot = 5;
constexpr int panic_slot = 6;
constexpr int first_disk_slot = 8;
constexpr int first_nic_slot = 16;

/// QemuOpts: a comma inside a value is written twice.
std::string escaped(const std::string& value) {
    std::string text;
    for (const char c : value)
        text += c == ',' ? ",," : std::string(1, c);
    return text;
}

/// A two-digit hexadecimal slot, as QEMU's addr= and OpenBoot's @ take it.
std::string slot_text(int slot) {
    constexpr const char* digits = "0123456789abcdef";
    return slot < 16 ? std::string(1, digits[slot])
                     : std::string{digits[slot / 16], digits[slot % 16]};
}

int number_of(const std::string& name) {
    return std::stoi(name.substr(name.find_first_of("0123456789")));
}

class Builder {
  public:
    Builder(const HostDefinition& definition, const HostFiles& files, const Launch& launch)
        : definition_(definition), files_(files), launch_(launch) {}

    std::vector<std::string> build() {
        machine();
        behaviour();
        sockets();
        firmware();
        identity();
        console_devices();
        usb();
        for (const Disk& disk : definition_.disks)
            add_disk(disk);
        for (const Nic& nic : definition_.nics)
            add_nic(nic);
        return std::move(arguments_);
    }

  private:
    void add(std::initializer_list<std::string> arguments) {
        arguments_.insert(arguments_.end(), arguments);
    }

    void machine() {
        const bool pc = definition_.machine == Machine::pc;
        add({launch_.qemu, "-nodefaults", "-no-user-config", "-name",
             "guest=" + definition_.name + ",process=openlom-" + definition_.name});
        // graphics=off: the firmware speaks on the serial port too.
        add({"-machine", std::string(pc ? "pc" : "q35") + ",graphics=off,vmport=off"});
        if (launch_.acceleration == Acceleration::kvm)
            add({"-accel", "kvm", "-cpu", "host"});
        else
            add({"-accel", "tcg,tb-size=128", "-cpu", "max"});
        add({"-smp", std::to_string(definition_.processors), "-m",
             std::to_string(definition_.memory_mib) + "M", "-rtc", "base=utc"});
    }

    void behaviour() {
        // At the ok prompt the processor waits. A guest that has shut down stays, so that the
        // reason can be read; the service processor ends it.
        if (launch_.plan.stop_at_ok)
            add({"-S"});
        add({"-action", std::string("reboot=") + (launch_.trap_reboot ? "shutdown" : "reset") +
                            ",shutdown=pause,panic=pause"});
        add({"-boot",
             launch_.plan.firmware_setup ? "strict=on,menu=on,splash-time=60000" : "strict=on"});
        add({"-sandbox",
             "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
        add({"-pidfile", files_.pid()}); // locked: no second QEMU can start on the same files
        // Why a machine stopped, written to its stderr: events are lost while nobody listens.
        add({"-trace", "enable=qemu_system_shutdown_request"});
    }

    void sockets() {
        monitor("mon0", files_.qmp());
        monitor("mon1", files_.second_qmp());
        // Output goes to the log alone; a pipe takes the input without ever holding QEMU up.
        add({"-chardev", "pipe,id=serial0,path=" + escaped(files_.serial()) +
                             ",logfile=" + escaped(files_.console_log()) + ",logappend=on"});
        add({"-serial", "chardev:serial0"});
        add({"-vga", "std", "-display", "none", "-vnc",
             "unix:" + escaped(files_.vnc()) + ",share=force-shared"});
    }

    void monitor(const std::string& id, const std::string& path) {
        add({"-chardev", "socket,id=" + id + ",path=" + escaped(path) + ",server=on,wait=off",
             "-mon", "chardev=" + id + ",mode=control"});
    }

    void firmware() {
        if (definition_.firmware != Firmware::uefi)
            return;
        add({"-drive", std::string("if=pflash,unit=0,format=raw,readonly=on,file=") + uefi_code});
        add({"-drive", "if=pflash,unit=1,format=raw,file=" + escaped(files_.uefi_variables())});
    }

    void identity() {
        const Identity& id = definition_.identity;
        add({"-uuid", id.uuid});
        smbios("type=0", {{"vendor", "OpenLOM"},
                          {"version", LOM_VERSION},
                          {"uefi", definition_.firmware == Firmware::uefi ? "on" : ""}});
        smbios("type=1", {{"manufacturer", id.manufacturer},
                          {"product", id.product_name},
                          {"serial", id.serial_number},
                          {"sku", id.part_number}});
        smbios("type=2", {{"manufacturer", id.manufacturer},
                          {"product", id.product_name},
                          {"serial", id.serial_number},
                          {"asset", id.asset_tag}});
        smbios("type=3", {{"manufacturer", id.manufacturer},
                          {"serial", id.serial_number},
                          {"asset", id.asset_tag}});
    }

    void smbios(std::string text, const std::vector<std::pair<std::string, std::string>>& fields) {
        for (const auto& [name, value] : fields)
            if (!value.empty())
                text += "," + name + "=" + escaped(value);
        add({"-smbios", text});
    }

    void console_devices() {
        add({"-device", "virtio-rng-pci,addr=0x" + slot_text(random_slot)});
        add({"-device", "pvpanic-pci,addr=0x" + slot_text(panic_slot)});
    }

    void usb() {
        add({"-device", "qemu-xhci,id=usb,p2=8,p3=8,addr=0x" + slot_text(usb_slot)});
        // Absolute mouse positions. The keyboard is the PS/2 one: firmware polls a USB keyboard 18
        // times a second, and keys of whoever types faster are lost or seem held.
        add({"-device", "usb-tablet,bus=usb.0"});
        for (const DriveId drive : all_drives)
            add_drive(drive);
    }

    /// A medium that is inserted later is news to the guest (unit attention), which SeaBIOS takes
    /// for a failed read: what may be booted is there from the start.
    void add_drive(DriveId id) {
        const DriveTraits& traits = traits_of(id);
        const Medium& medium = launch_.media[index_of(id)];
        std::string drive;
        if (medium.present()) {
            const std::string node = std::string(traits.node_prefix) + "1";
            const std::string mode = medium.writable ? "off" : "on";
            add({"-blockdev", "driver=raw,node-name=" + node + ",read-only=" + mode +
                                  ",file.driver=file,file.read-only=" + mode +
                                  ",file.locking=off,file.filename=" + escaped(medium.file)});
            drive = ",drive=" + node;
        }
        const std::string at =
            ",bus=usb.0,port=" + std::to_string(traits.storage + 1); // port 1 is the tablet's
        const std::string device = traits.device;
        // rerror=enospc: with that error from lom-media QEMU holds the guest while the image's
        // source is away; with any other (ejected, not to be waited for) the guest sees an error.
        const std::string more =
            ",rerror=enospc" + drive + boot_index({"r" + std::string(traits.alias), traits.alias});
        if (traits.has_tray) {
            const std::string bridge = "bot" + std::to_string(index_of(id));
            add({"-device", "usb-bot,id=" + bridge + at});
            add({"-device",
                 "scsi-cd,id=" + device + ",bus=" + bridge + ".0,scsi-id=0,lun=0" + more});
        } else if (medium.present()) {
            add({"-device", "usb-storage,id=" + device + at + ",removable=on" + more});
        }
    }

    void add_disk(const Disk& disk) {
        const std::string node = disk.name + "-image";
        add({"-blockdev", "driver=qcow2,node-name=" + node +
                              ",discard=unmap,file.driver=file,"
                              "file.filename=" +
                              escaped(files_.disk(disk.name))});
        std::vector<std::string> aliases{disk.name};
        if (disk.name == definition_.disks.front().name)
            aliases.emplace_back("disk");
        add({"-device", "virtio-blk-pci,id=" + disk.name + ",drive=" + node +
                            ",serial=" + disk.name + ",addr=0x" +
                            slot_text(first_disk_slot + number_of(disk.name)) +
                            ",werror=stop,rerror=stop" + boot_index(aliases)});
    }

    void add_nic(const Nic& nic) {
        add({"-netdev", "user,id=" + nic.name + "-user"});
        std::vector<std::string> aliases{nic.name};
        if (nic.name == definition_.nics.front().name)
            aliases.emplace_back("net");
        const std::string device = "virtio-net-pci,id=" + nic.name + ",netdev=" + nic.name +
                                   "-user,mac=" + nic.mac + ",addr=0x" +
                                   slot_text(first_nic_slot + number_of(nic.name));
        // A boot ROM only where this boot may use it: it costs time at every start.
        const std::string index = boot_index(aliases);
        add({"-device", device + (index.empty() ? ",romfile=" : index)});
    }

    /// Its place in the plan. A device without one is not tried: -boot strict=on.
    std::string boot_index(const std::vector<std::string>& aliases) const {
        const auto& order = launch_.plan.order;
        const auto found =
            std::find_first_of(order.begin(), order.end(), aliases.begin(), aliases.end());
        return found == order.end() ? "" : ",bootindex=" + std::to_string(found - order.begin());
    }

    const HostDefinition& definition_;
    const HostFiles& files_;
    const Launch& launch_;
    std::vector<std::string> arguments_;
};

} // namespace

std::vector<std::string> command_line(const HostDefinition& definition, const HostFiles& files,
                                      const Launch& launch) {
    return Builder(definition, files, launch).build();
}

std::string drive_path(DriveId drive) {
    return "/pci@0,0/usb@" + slot_text(usb_slot) + "/storage@" +
           std::to_string(traits_of(drive).storage) + "/disk@0,0";
}

std::vector<BootDevice> boot_devices(const HostDefinition& definition) {
    const std::string root = "/pci@0,0";
    std::vector<BootDevice> devices;
    for (const DriveId drive : all_drives)
        for (const char* prefix : {"r", ""})
            devices.push_back({prefix + std::string(traits_of(drive).alias), drive_path(drive)});
    for (const Disk& disk : definition.disks) {
        const std::string path =
            root + "/virtio-blk@" + slot_text(first_disk_slot + number_of(disk.name)) + "/disk@0";
        if (disk.name == definition.disks.front().name)
            devices.push_back({"disk", path});
        devices.push_back({disk.name, path});
    }
    for (const Nic& nic : definition.nics) {
        const std::string path =
            root + "/ethernet@" + slot_text(first_nic_slot + number_of(nic.name));
        if (nic.name == definition.nics.front().name)
            devices.push_back({"net", path});
        devices.push_back({nic.name, path});
    }
    return devices;
}

} // namespace lom::vmm
