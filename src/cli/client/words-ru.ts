import type { Words } from "./words-en.ts";

const rules = new Intl.PluralRules("ru");

/** `1 задача`, `2 задачи`, `5 задач`. */
function counted(n: number, one: string, few: string, many: string): string {
  const form = rules.select(n);
  return `${n} ${form === "one" ? one : form === "few" ? few : many}`;
}

const meant = (guess: string | undefined): string => (guess === undefined ? "" : `; может быть, \`${guess}\`?`);

/** What the terminal client says, in Russian. */
export const RUSSIAN: Words = {
  hello: (version, server) => `Artel ${version}, сервер ${server}`,
  firstSteps: "Вход не выполнен: `register` заводит учётную запись, `login` входит в имеющуюся. `help` — список команд.",
  loggedIn: (email) => `Вход выполнен: ${email}. \`help\` — список команд, \`task\` запускает задачу.`,
  takenOver: (email) => `На этом компьютере вошли как ${email}; дальше используется этот вход.`,
  withToken: "Задан ARTEL_TOKEN: здесь действует он.",

  prompt: "artel> ",
  email: "Почта: ",
  password: "Пароль: ",
  passwordAgain: "Пароль ещё раз: ",
  whichTask: "Задача, номер или имя: ",
  whichId: (newest) => (newest === undefined ? "ID: " : `ID [${newest}]: `),
  enterEnds: "Enter — назад ",

  registered: (email) => `Учётная запись ${email} создана.`,
  passwordsDiffer: "Пароли не совпадают.",
  loggedOut: "Выход выполнен.",
  notLoggedIn: "Вход не выполнен: сначала `login` или `register`.",
  sessionEnded: "Сеанс завершён: выход был сделан в другом месте, или срок истёк. `login` открывает новый.",

  lost: (reason) => `Связь потеряна (${reason}). Повторяю попытки; ничего не пропадёт.`,
  back: "Связь восстановлена.",
  reset: "Сервер начал заново, или изменений слишком много: `tasks` покажет, что сейчас.",
  unreachable: (server, reason) => `${server} не отвечает: ${reason}.`,
  startServer: "Сервер запущен? `artel serve` запускает его, --server указывает другой адрес.",
  reasons: {
    "the connection was refused": "в соединении отказано",
    "no answer in time": "ответ не пришёл вовремя",
    "the connection for notices was closed": "соединение для уведомлений закрыто",
  },

  unknownCommand: (name, guess) => `Нет команды «${name}»${meant(guess)}`,
  knownCommands: (names) => `Есть: ${names.join(", ")}`,
  tooManyWords: (usage) => `Здесь лишнее: ${usage}`,
  helpKeys: "Tab дополняет, «вверх» возвращает прежние строки, Ctrl-C бросает строку, Ctrl-D завершает работу.",
  commands: {
    register: ["register [ПОЧТА]", "завести учётную запись и войти"],
    login: ["login [ПОЧТА]", "войти"],
    task: ["task [ИМЯ]", "запустить задачу: поля спрашиваются по одному"],
    tasks: ["tasks", "последние задачи и их ход"],
    watch: ["watch ID", "следить за задачей до конца"],
    show: ["show ID", "задача и её результат"],
    logs: ["logs ID", "журнал задачи"],
    cancel: ["cancel ID", "отменить задачу"],
    retry: ["retry ID", "повторить неудачную или отменённую задачу"],
    logout: ["logout", "завершить сеанс"],
    clear: ["clear", "очистить экран"],
    help: ["help", "этот список"],
    exit: ["exit", "закончить; задачи продолжатся"],
  },

  statuses: {
    scheduled: "отложена",
    queued: "в очереди",
    "in progress": "выполняется",
    retrying: "ждёт повтора",
    done: "готова",
    failed: "не удалась",
    cancelled: "отменена",
  },
  submitted: (name, id) => `Отправлена: ${name} ${id}`,
  noTasks: "Задач ещё нет: `task` запускает первую.",
  noDefinitions: "На этом сервере нет задач.",
  noLogs: "Журнал пуст.",
  noSuchTask: (id) => `У вас нет задачи ${id}: \`tasks\` покажет все.`,
  noSuchName: (name, guess) => `Нет задачи «${name}»${meant(guess)}`,
  manyTasks: (id, ids) => `${id} подходит к нескольким задачам: ${ids.join(", ")}`,
  cancelling: (id) => `Отменяю ${id}.`,
  retried: (id) => `${id} снова в очереди.`,
  attempt: (attempt) => `попытка ${attempt}`,
  moreTasks: (n) => `и ещё ${n}`,
  labels: {
    id: "id",
    task: "задача",
    status: "статус",
    progress: "ход",
    message: "сообщение",
    attempt: "попытка",
    error: "ошибка",
    queue: "очередь",
    created: "создана",
    started: "начата",
    finished: "окончена",
    input: "данные",
    result: "результат",
  },

  pages: (pages, links) =>
    `${counted(pages, "страница", "страницы", "страниц")}, ${counted(links, "разная ссылка", "разные ссылки", "разных ссылок")}`,
  pageColumns: { status: "HTTP", words: "слов", links: "ссылок", page: "страница" },

  formHint: "Enter принимает значение в скобках, Ctrl-C бросает форму.",
  optional: "необязательно",
  yesNo: "да/нет",
  listHint: "через запятую или JSON",
  jsonHint: "JSON",
  required: "Это поле обязательно.",
  invalid: (problem) => `Не годится: ${problem}.`,
  givenUp: "Отменено.",
  inputEnded: "Ввод закончился раньше обязательных полей.",

  problems: [
    [/^must be >= (\S+)$/, "нужно не меньше $1"],
    [/^must be <= (\S+)$/, "нужно не больше $1"],
    [/^must be > (\S+)$/, "нужно больше $1"],
    [/^must be < (\S+)$/, "нужно меньше $1"],
    [/^must be multiple of (\S+)$/, "нужно кратное $1"],
    [/^must NOT have fewer than (\d+) characters$/, "символов нужно не меньше $1"],
    [/^must NOT have more than (\d+) characters$/, "символов нужно не больше $1"],
    [/^must NOT have fewer than (\d+) items$/, "значений нужно не меньше $1"],
    [/^must NOT have more than (\d+) items$/, "значений нужно не больше $1"],
    [/^must NOT have duplicate items.*$/, "значения не должны повторяться"],
    [/^must match format "(.+)"$/, "нужен вид «$1»"],
    [/^must match pattern "(.+)"$/, "нужно по образцу $1"],
    [/^must be one of (.+)$/, "нужно одно из: $1"],
    [/^must be a whole number, not (.+)$/, "нужно целое число, а не $1"],
    [/^must be a number, not (.+)$/, "нужно число, а не $1"],
    [/^must be true or false, not (.+)$/, "нужно «да» или «нет», а не $1"],
    [/^must be an object as JSON, not (.+)$/, "нужен объект JSON, а не $1"],
    [/^must be a list: .*, not (.+)$/, "нужен список, а не $1"],
    [/^must have at least (\d+) characters$/, "нужно не меньше $1 символов"],
    [/^must have at most (\d+) characters$/, "нужно не больше $1 символов"],
    [/^must not have control characters$/, "управляющих символов быть не должно"],
    [/^must not be the e-mail address$/, "это не должна быть сама почта"],
    [/^is one of those that are guessed first$/, "он из тех, что пробуют первыми"],
    [/^is too regular$/, "слишком однообразно"],
    [/^unknown field$/, "нет такого поля"],
    [/^required$/, "обязательно"],
  ],

  codes: {
    invalid_credentials: "Почта или пароль неверны.",
    email_taken: "Учётная запись с этой почтой уже есть.",
    weak_password: "Этот пароль не годится.",
    invalid_email: "Это не адрес почты.",
    rate_limited: "Слишком много попыток: подождите немного.",
    queue_full: "В очереди слишком много задач: подождите, пока часть закончится.",
    task_ended: "Задача уже закончена.",
    task_not_ended: "Повторить можно только неудачную или отменённую задачу.",
    task_not_found: "Такой задачи нет.",
    unknown_task: "Такой задачи на сервере нет.",
    invalid_input: "Данные не подходят к задаче.",
  },
};
