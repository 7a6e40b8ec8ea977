; A CD that boots in real mode, within a fraction of a second and on any KVM: for tests of
; hosts, consoles and boot order that need no operating system.
;
; On COM1 it prints "HELLO volume=ID" (ID read from the CD by INT 13h) and "READY"; the screen
; shows the same, written to video memory so that firmware which mirrors INT 10h to the serial
; port does not double it. Then it echoes what COM1 receives and, at these letters, also acts:
;   r  resets the machine      o  powers it off (APM)      v  reads the CD again: HELLO line
; It sleeps between bytes: an idle machine costs no processor time.

        org 0x7c00
        bits 16

COM1    equ 0x3f8
SECTOR  equ 0x9000                      ; where the volume descriptor goes

start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        mov [drive], dl
        sti
        int 8                           ; the timer's: SeaBIOS's serial console says what it still
                                        ; holds back, else its last characters come between ours
        call hello
        mov si, ready
        call print

        cli
        mov word [0x0c * 4], wake       ; IRQ 4: COM1
        mov word [0x0c * 4 + 2], 0
        mov al, 0xef                    ; every other interrupt is masked: SeaBIOS's timer would
        out 0x21, al                    ; take bytes from COM1 for its own serial console
        mov al, 0xff
        out 0xa1, al
        mov dx, COM1 + 1                ; interrupt at received data
        mov al, 1
        out dx, al
        mov dx, COM1 + 4                ; DTR, RTS, OUT2 (lets the interrupt through)
        mov al, 0x0b
        out dx, al

next:   cli
        mov dx, COM1 + 5
        in al, dx
        test al, 1
        jnz byte_in
        sti                             ; takes effect after hlt has begun: no wake-up is lost
        hlt
        jmp next

byte_in:
        mov dx, COM1
        in al, dx
        sti
        push ax
        call put_serial
        pop ax
        cmp al, 'r'
        je reset
        cmp al, 'o'
        je power_off
        cmp al, 'v'
        jne next
        call hello
        jmp next

reset:  mov al, 0xfe                    ; the keyboard controller pulls the reset line
        out 0x64, al
        jmp $

power_off:
        mov ax, 0x5301                  ; connect to APM, say that we know version 1.2
        xor bx, bx
        int 0x15
        mov ax, 0x530e
        xor bx, bx
        mov cx, 0x0102
        int 0x15
        mov ax, 0x5307                  ; all devices off
        mov bx, 1
        mov cx, 3
        int 0x15
        jmp next

wake:   push ax
        mov al, 0x20
        out 0x20, al
        pop ax
        iret

; The HELLO line, with the volume id or with what INT 13h answered.
hello:  mov si, greeting
        call print
        mov word [packet + 2], 1
        mov si, packet
        mov ah, 0x42
        mov dl, [drive]
        int 0x13
        mov si, unreadable
        jc print
        mov byte [SECTOR + 40 + 32], 0
        mov di, SECTOR + 40 + 32        ; cut the padding
.trim:  dec di
        cmp byte [di], ' '
        jne .show
        mov byte [di], 0
        cmp di, SECTOR + 40
        ja .trim
.show:  mov si, SECTOR + 40
        call print
        mov si, newline                 ; falls through

; SI: text to its zero byte, on COM1 and on the screen.
print:  lodsb
        test al, al
        jz .done
        call put_serial
        call put_screen
        jmp print
.done:  ret

put_serial:
        push dx
        push ax
        mov dx, COM1 + 5
.wait:  in al, dx
        test al, 0x20
        jz .wait
        pop ax
        mov dx, COM1
        out dx, al
        pop dx
        ret

put_screen:
        cmp al, ' '
        jb .done
        push es
        push di
        mov di, 0xb800
        mov es, di
        mov di, [cell]
        mov ah, 0x0f
        stosw
        mov [cell], di
        pop di
        pop es
.done:  ret

greeting   db 13, 10, "HELLO volume=", 0
unreadable db "(unreadable)"
newline    db 13, 10, 0
ready      db "READY", 13, 10, 0
cell       dw 160 * 12                  ; the screen's middle line
packet     db 16, 0                     ; INT 13h, AH=42h: one sector of 2048 bytes, number 16
           dw 1, SECTOR, 0
           dq 16
drive      db 0

        times 2048 - ($ - $$) db 0
