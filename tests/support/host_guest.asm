; One boot sector that the tests of hosts boot from a disk (BIOS) or a CD. It prints NAME on COM1,
; "[break]", "[nmi]" when they come, powers the machine off at the ACPI power button, echoes what
; it receives, and obeys these letters:
;   r  resets the machine               o  powers it off (ACPI)
;   i  ignores the power button         p  panics (pvpanic)
;   c  reads the CD by INT 13h: "[read]" or "[unreadable]"
;
; nasm -f bin -DNAME='"disk"' host_guest.asm -o disk.bin
        org 0x7c00
        bits 16
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        mov word [2 * 4], nmi           ; NMI
        mov word [2 * 4 + 2], 0
        mov dx, 0x602                   ; PM1 enable: power button
        mov ax, 0x100
        out dx, ax
        mov dx, 0x600                   ; forget what was pressed before
        out dx, ax
        mov si, name
        call print
next:   mov dx, 0x3fd
        in al, dx                       ; once: reading forgets the break
        mov bl, al
        test bl, 0x10
        jz .no_break
        mov si, brk
        call print
.no_break:
        test byte [ignore], 1
        jnz .key
        mov dx, 0x600
        in ax, dx
        test ah, 1                      ; power button
        jnz off
.key:   test bl, 1
        jz next
        mov dx, 0x3f8
        in al, dx
        mov dx, 0x3f8
        out dx, al                      ; echo
        cmp al, 'r'
        je reset
        cmp al, 'o'
        je off
        cmp al, 'i'
        je deaf
        cmp al, 'p'
        je panic
        cmp al, 'c'
        je read
        jmp next
deaf:   mov byte [ignore], 1
        jmp next
reset:  mov al, 0xfe
        out 0x64, al
        jmp $
off:    mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
        jmp $
; the sector that INT 13h reads: first bytes of sector 16 of the CD
read:   sti
        mov ax, 0x4200
        mov dl, 0xe0
        mov si, packet
        int 0x13
        cli
        mov si, bad
        jc .tell
        mov si, good
.tell:  call print
        jmp next
; pvpanic-pci: find 1b36:0011 on bus 0, write 1 to its BAR in unreal mode
panic:  mov ebx, 0x80000000
.find:  mov eax, ebx
        call cfg
        cmp eax, 0x00111b36
        je .have
        add ebx, 0x800
        jmp .find
.have:  lea eax, [ebx + 0x10]
        call cfg
        and al, 0xf0
        mov ebx, eax
        lgdt [gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        mov cx, 8
        mov fs, cx
        and al, 0xfe
        mov cr0, eax
        mov byte [fs:ebx], 1
        jmp next
cfg:    mov dx, 0xcf8
        out dx, eax
        mov dx, 0xcfc
        in eax, dx
        ret
nmi:    push si
        mov si, nm
        call print
        pop si
        iret
print:  push ax
        push dx
        mov dx, 0x3f8
.more:  lodsb
        test al, al
        jz .done
        out dx, al
        jmp .more
.done:  pop dx
        pop ax
        ret
ignore  db 0
brk     db "[break]", 0
nm      db "[nmi]", 0
good    db "[read]", 0
bad     db "[unreadable]", 0
packet  db 16, 0
        dw 1, 0x9000, 0
        dq 16
gdt     dq 0
        dq 0x00cf92000000ffff
gdtr    dw 15
        dd gdt
name    db "[", NAME, "]", 13, 10, 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
