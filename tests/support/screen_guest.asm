; A disk that boots in real mode and does what its keyboard and mouse say, all of it on the screen
; alone: for tests of the screen that need no operating system.
;
; None of the modes maps video memory straight into the guest: a KVM that emulates every instruction
; cannot write there. It writes "SCREEN READY" and echoes what is typed, from row 2 on. At these keys it acts instead:
;   F1  text, 80 x 25      F2  graphics, 640 x 480      F3  graphics, 640 x 200
;   F4  a new picture all the time, until a key         F5  resets the machine
;   F6  num and caps lock lights                        F7  text, 80 x 50      F8  text, 40 x 25
; Row 20 shows what the mouse last said: "MOUSE ss" and its status byte in hex.

        org 0x7c00
        bits 16

TEXT    equ 0xb800

start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        mov ax, 0x0204                  ; the rest of this program
        mov cx, 0x0002
        mov dh, 0
        mov bx, 0x7e00
        int 0x13
        jmp main

        times 510 - ($ - $$) db 0
        dw 0xaa55

main:   cld
        call text_mode
        call start_mouse
.next:  mov ah, 0
        int 0x16
        cmp ah, 0x3b
        jb .echo
        cmp ah, 0x42
        ja .echo
        mov bl, ah
        sub bl, 0x3b
        mov bh, 0
        shl bx, 1
        call [actions + bx]
        jmp .next
.echo:  mov bx, [column]
        mov cx, TEXT
        mov es, cx
        mov ah, 0x1f
        mov [es:bx], ax
        add word [column], 2
        jmp .next

actions dw text_mode, graphics, low, video, reset, lights, small, wide

small:  mov ax, 3
        int 0x10
        mov ax, 0x1112                  ; the font of 8 rows
        mov bl, 0
        jmp set_mode
wide:   mov ax, 1
        jmp set_mode
text_mode:
        mov ax, 3
set_mode:
        int 0x10
        mov ah, 1                       ; no cursor: nothing changes by itself
        mov cx, 0x2000
        int 0x10
banner: mov ax, TEXT
        mov es, ax
        xor di, di
        mov ax, 0x1f20
        mov cx, 80 * 50
        rep stosw
        xor di, di
        mov si, ready
        mov ah, 0x1f
.next:  lodsb
        test al, al
        jz .done
        stosw
        jmp .next
.done:  mov word [column], 2 * 160
        ret

lights: mov al, 0xed                    ; the caps and num lock lights
        call to_keyboard
        mov al, 6
to_keyboard:
        out 0x60, al
        mov cx, 0xffff
.wait:  in al, 0x64
        test al, 2
        loopnz .wait
        ret

graphics:
        mov ax, 0x12
        int 0x10
        mov ax, 0xa000
        mov es, ax
        xor di, di
        mov cx, 640 / 8 * 480
.next:  mov ax, di                      ; stripes of no font's shape
        and al, 0x5a
        stosb
        loop .next
        ret

low:    mov ax, 6
        int 0x10
        mov ax, TEXT
        mov es, ax
        xor di, di
        mov cx, 80 * 100
.next:  mov ax, di
        and al, 0x5a
        stosb
        loop .next
        ret

; Every character and every colour, each time another one.
video:  mov ax, TEXT
        mov es, ax
        mov bx, 0x0100
.frame: xor di, di
        mov cx, 80 * 25
        mov ax, bx
.next:  stosw
        add ax, 0x0101
        loop .next
        add bx, 0x0107
        mov ah, 1
        int 0x16
        jz .frame
        mov ah, 0
        int 0x16
        jmp text_mode

reset:  mov dx, 0xcf9
        mov al, 6
        out dx, al
        hlt

start_mouse:
        mov ax, 0xc205                  ; packets of three bytes
        mov bh, 3
        int 0x15
        mov ax, 0xc207
        push ds
        pop es
        mov bx, moved
        int 0x15
        mov ax, 0xc200
        mov bh, 1
        int 0x15
        ret

; Called far by the BIOS, with status, x, y and z on the stack.
moved:  push bp
        mov bp, sp
        push ax
        push bx
        push ds
        push es
        xor ax, ax
        mov ds, ax
        mov ax, TEXT
        mov es, ax
        mov al, [bp + 12]
        mov bx, 20 * 160
        mov word [es:bx], 0x1f4d        ; M
        mov word [es:bx + 2], 0x1f4f    ; O
        mov word [es:bx + 4], 0x1f55    ; U
        mov word [es:bx + 6], 0x1f53    ; S
        mov word [es:bx + 8], 0x1f45    ; E
        push ax
        shr al, 4
        call digit
        mov [es:bx + 12], ax
        pop ax
        and al, 15
        call digit
        mov [es:bx + 14], ax
        pop es
        pop ds
        pop bx
        pop ax
        pop bp
        retf

digit:  add al, '0'
        cmp al, '9'
        jbe .done
        add al, 'A' - '0' - 10
.done:  mov ah, 0x1f
        ret

ready   db 'SCREEN READY', 0
column  dw 0

        times 5 * 512 - ($ - $$) db 0
