/** What guessers try first, among passwords long enough for the length rule; lower case. */
const WORDS = `
00000000 000000000 0000000000 01234567 0123456789 0987654321 10203040 11223344 1122334455 112233445566 11111111
111222333 12341234 123412345 12345678 123456789 1234567890 12345678910 123456789a 123456789q 12345678a 1234567a
1234qwer 123123123 123321123 1234554321 123454321 123654789 12344321 123456abc 123456qwerty 123qwe123 123qweasd
123qweasdzxc 135792468 13579246810 147258369 147852369 159357456 159753456 1a2b3c4d 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y
1qaz2wsx 1qaz2wsx3edc 1qazxsw2 20202020 21212121 22222222 23456789 25802580 31415926 314159265 33333333 44444444
55555555 66666666 741852963 77777777 789456123 87654321 88888888 888888888 963852741 98765432 987654321 9876543210
99999999 999999999 a1234567 a12345678 a123456789 a1b2c3d4 a1b2c3d4e5 aa123456 aa12345678 aaaaaaaa abc12345 abc123456
abc123456789 abcd1234 abcd12345 abcdefgh abcdefghi access14 administrator admin123 admin1234 admin12345 admin123456
adminadmin alexander alexandra asd123456 asdasd123 asdasdasd asdf1234 asdfasdf asdfghjk asdfghjkl baseball basketball
bismillah butterfly caroline changeme changeme1 changeme123 charlie1 chocolate christian computer consumer corvette
danielle diamonds dolphins dragon123 elephant estrella facebook football football1 forever1 fuckyou1 fuckyou123
gfhjkm123 google123 hello123 hellohello hellokitty iloveyou iloveyou1 iloveyou2 iloveyou123 internet jennifer
jonathan jordan23 josephine justinbieber killer123 kristina letmein1 letmein123 letmeinnow liverpool liverpool1
lovelove loveyou1 marlboro maverick mercedes metallica michael1 michelle midnight minecraft monkey123 motorola
naruto123 nicholas nintendo november p@ssw0rd p@ssword p@ssw0rd1 p@ssw0rd123 pa55word pa55w0rd pass1234 pass12345
passpass passw0rd passw0rd1 passw0rd123 password password! password0 password01 password1 password1! password11
password12 password123 password1234 password12345 password123! password2 password3 password7 password9
passwordpassword patricia platinum playstation pokemon123 princess princess1 q1w2e3r4 q1w2e3r4t5 q1w2e3r4t5y6
qazwsx123 qazwsxedc qazwsxedcrfv qqqqqqqq qwe123456 qweasd123 qweasdzx qweasdzxc qweqweqwe qwer1234 qwerasdf qwerqwer
qwert123 qwert12345 qwerty01 qwerty11 qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 qwerty321 qwerty78
qwertyqwerty qwertyui qwertyuiop qwertyuiop123 rockstar samantha samsung1 secret123 slipknot softball spiderman
starwars starwars1 steelers sunshine sunshine1 superman superman1 superstar swordfish tinkerbell trustno1 undertaker
unknown1 valentina vampire1 veronica victoria voyager1 welcome1 welcome123 whatever winston1 xxxxxxxx yankees1
zaq12wsx zaq1zaq1 zxcvbnm1 zxcvbnm123 zxcvbnma zzzzzzzz
`;

export const COMMON_PASSWORDS: ReadonlySet<string> = new Set(WORDS.trim().split(/\s+/));
