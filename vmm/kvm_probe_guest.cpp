#include "vmm/kvm_probe_guest.h"

// What a 64-bit kernel does in its first moments, in one page. Loaded at 0x1000 with the rest of
// memory zero; uses 0x2000-0x4fff for page tables and the stack below 0x8000. Addresses are written
// as "label - guest + 0x1000", for the assembler does not know where the host's linker puts it.
asm(R"(
        .pushsection .rodata
        .balign 16
        .globl lom_probe_guest_begin, lom_probe_guest_end

lom_probe_guest_begin:
.Lguest:
        .code16
        xorw    %ax, %ax
        movw    %ax, %ss
        movw    $0x8000, %sp
        call    .Lstage_real_mode

        fninit
        fld1
        fstpl   0x5000
        movb    $2, %al                         # fpu
        outb    %al, $0x80

        # 0-4 MiB twice: at 0 and at 0xffffffff80000000
        movl    $0x3003, 0x2000                 # PML4[0]
        movl    $0x3003, 0x2ff8                 # PML4[511]
        movl    $0x4003, 0x3000                 # PDPT[0]
        movl    $0x4003, 0x3ff0                 # PDPT[510]
        movl    $0x000083, 0x4000               # 2 MiB pages
        movl    $0x200083, 0x4008
        movl    $0x2000, %eax
        movl    %eax, %cr3
        movl    $0x620, %eax                    # PAE, OSFXSR, OSXMMEXCPT
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx               # EFER: SCE, LME
        rdmsr
        orl     $0x101, %eax
        wrmsr
        lgdtl   .Lgdt_pointer - .Lguest + 0x1000
        movl    $0x80000033, %eax               # PG, NE, ET, MP, PE
        movl    %eax, %cr0
        ljmpl   $8, $(.Llong_mode - .Lguest + 0x1000)

.Lstage_real_mode:
        movb    $1, %al
        outb    %al, $0x80
        ret

        .code64
.Llong_mode:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $0x8000, %esp
        movb    $3, %al
        outb    %al, $0x80

        pxor    %xmm0, %xmm0
        movabsq $0x1122334455667788, %rax
        movq    %rax, %xmm1
        paddq   %xmm1, %xmm0
        paddq   %xmm1, %xmm0
        movq    %xmm0, %rbx
        addq    %rax, %rax
        cmpq    %rax, %rbx
        jne     .Lhalt
        movb    $4, %al                         # sse
        outb    %al, $0x80

        lidt    .Lidt_pointer - .Lguest + 0x1000
        xorl    %edx, %edx
        ud2                                     # the handler sets edx
        cmpl    $6, %edx
        jne     .Lhalt
        movb    $5, %al                         # exceptions
        outb    %al, $0x80

        movq    $(.Lhigh - .Lguest + 0xffffffff80001000), %rax
        jmp     *%rax
.Lhigh:
        movl    $0xc0000101, %ecx               # GS_BASE
        movl    $0x1234, %eax
        xorl    %edx, %edx
        wrmsr
        swapgs
        invlpg  0x5000
        movl    $0xc0000102, %ecx               # KERNEL_GS_BASE: it was swapped
        rdmsr
        cmpl    $0x1234, %eax
        jne     .Lhalt
        movb    $6, %al                         # kernel
        outb    %al, $0x80

        movl    $1000000, %ecx                  # probe_loops
.Lagain:
        decl    %ecx
        jnz     .Lagain
        movb    $7, %al                         # speed
        outb    %al, $0x80
.Lhalt:
        hlt
        jmp     .Lhalt

.Linvalid_opcode:
        movl    $6, %edx
        addq    $2, (%rsp)                      # past the ud2
        iretq

        .balign 8
.Lgdt:  .quad   0
        .quad   0x00af9b000000ffff              # 64-bit code
        .quad   0x00cf93000000ffff              # data
.Lgdt_pointer:
        .word   .Lgdt_pointer - .Lgdt - 1
        .long   .Lgdt - .Lguest + 0x1000

        .balign 8
.Lidt:  .fill   6 * 16, 1, 0
        .word   .Linvalid_opcode - .Lguest + 0x1000, 8, 0x8e00, 0
        .quad   0
.Lidt_pointer:
        .word   .Lidt_pointer - .Lidt - 1
        .quad   .Lidt - .Lguest + 0x1000
lom_probe_guest_end:
        .popsection
)");
