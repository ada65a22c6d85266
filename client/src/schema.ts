// Generated from docs/openapi.json and docs/asyncapi.json by `npm run schema`. Do not edit.

export interface paths {
    "/calendar/{secret}.ics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getCalendar"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/labels": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listLabels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/notifications": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listNotifications"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/projects": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listProjects"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/push/subscriptions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listPushSubscriptions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listTasks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/trash": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listTrash"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Adopt: {
            /** @description A good token of a guest's: it says `isAnonymous: true`. */
            token: string;
        };
        Adopted: {
            labels: number;
            projects: number;
            tasks: number;
        };
        ApiError: {
            /** @description What is wrong, in one word, which stays */
            code: string;
            /** @description What is wrong, in one sentence, which may change */
            detail: string;
        };
        BadBody: components["schemas"]["FieldErrors"] | components["schemas"]["ApiError"];
        Bulk: {
            operations: (unknown | null)[];
        };
        BulkAnswer: {
            results: components["schemas"]["BulkResult"][];
        };
        BulkFailed: {
            /** @description The body of that answer */
            body: unknown;
            /** @description What is wrong, in one word, which stays */
            code: string;
            /** @description What is wrong, in one sentence, which may change */
            detail: string;
            /** @description Which operation failed */
            index: number;
            /** @description What it would have been answered by itself */
            status: number;
        };
        BulkResult: {
            body: unknown | null;
            status: number;
        };
        CalendarAddress: {
            /** Format: uri */
            url: string;
        };
        ClientMessage: components["schemas"]["NewToken"] | components["schemas"]["Ping"];
        EventsGone: {
            /** @description What is wrong, in one word, which stays */
            code: string;
            /** @description What is wrong, in one sentence, which may change */
            detail: string;
            /** @description The history that this number belongs to */
            epoch: string;
            /** @description The number of the newest event */
            seq: number;
        };
        Export: {
            /** Format: date-time */
            exported_at: string;
            /** @enum {string} */
            format: "todolist";
            labels: components["schemas"]["Label"][];
            notifications: components["schemas"]["TaskNotification"][];
            preferences: components["schemas"]["Preferences"];
            projects: components["schemas"]["Project"][];
            tasks: components["schemas"]["Task"][];
            trash: components["schemas"]["TrashedTask"][];
            version: number;
        };
        /** @description What is wrong, by field; `non_field_errors` where it is no field */
        FieldErrors: {
            [key: string]: string[];
        };
        /** @description A document as `GET /export` makes one, or a part of it. */
        Import: {
            /** @enum {string} */
            format?: "todolist";
            labels?: components["schemas"]["ImportedLabel"][];
            projects?: components["schemas"]["ImportedProject"][];
            tasks?: components["schemas"]["ImportedTask"][];
            version?: number;
        };
        Imported: {
            ids: {
                [key: string]: string;
            };
            labels: number;
            projects: number;
            tasks: number;
        };
        /** @description As `GET /export` has it, with what is the server's in any other body. */
        ImportedLabel: {
            color?: string;
            created_at?: string;
            id?: string | null;
            name: string;
            position?: string;
        };
        /** @description As `GET /export` has it, with what is the server's in any other body. */
        ImportedProject: {
            archived?: boolean;
            color?: string;
            created_at?: string;
            id?: string | null;
            name: string;
            position?: string;
        };
        /** @description As `GET /export` has it, with what is the server's in any other body. */
        ImportedTask: {
            completed?: boolean;
            completed_at?: string | null;
            created_at?: string;
            deadline?: string | null;
            description?: string;
            /** Format: date */
            due_on?: string | null;
            id?: string | null;
            label_ids?: string[];
            order?: number;
            parent_id?: string | null;
            position?: string;
            previous_id?: string | null;
            priority?: number;
            project_id?: string | null;
            recurrence?: string;
            text: string;
        };
        Label: {
            color: string;
            /** Format: date-time */
            created_at: string;
            /** Format: uuid */
            id: string;
            name: string;
            position: string;
            /** Format: date-time */
            updated_at: string;
            user_id: string;
            version: number;
        };
        LabelCreated: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: components["schemas"]["Label"];
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "label.created";
        };
        LabelDeleted: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: {
                /** Format: uuid */
                id: string;
            };
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "label.deleted";
        };
        LabelList: components["schemas"]["Label"][];
        LabelPatch: {
            color?: string;
            /** Format: uuid */
            id?: string | null;
            name?: string;
        };
        LabelUpdated: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: components["schemas"]["Label"];
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "label.updated";
        };
        Live: {
            /** @enum {string} */
            status: "ok";
        };
        LiveEvent: components["schemas"]["ProjectCreated"] | components["schemas"]["ProjectUpdated"] | components["schemas"]["ProjectDeleted"] | components["schemas"]["LabelCreated"] | components["schemas"]["LabelUpdated"] | components["schemas"]["LabelDeleted"] | components["schemas"]["PreferencesUpdated"] | components["schemas"]["TaskCreated"] | components["schemas"]["TaskUpdated"] | components["schemas"]["TaskDeleted"] | components["schemas"]["NotificationCreated"] | components["schemas"]["NotificationRead"] | components["schemas"]["NotificationWithdrawn"];
        /** @description Where to: right after or before a sibling, or to an end. */
        Move: {
            /** Format: uuid */
            after?: string;
            /** Format: uuid */
            before?: string;
            /** @enum {string} */
            to?: "top" | "bottom";
        };
        NewLabel: {
            color?: string;
            /** Format: uuid */
            id?: string | null;
            name: string;
        };
        NewProject: {
            archived?: boolean;
            color?: string;
            /** Format: uuid */
            id?: string | null;
            name: string;
        };
        NewPushSubscription: {
            endpoint: string;
            /** Format: double */
            expirationTime?: number | null;
            keys: components["schemas"]["PushKeys"];
        };
        NewTask: {
            completed?: boolean;
            deadline?: string | null;
            description?: string;
            /** Format: date */
            due_on?: string | null;
            /** Format: uuid */
            id?: string | null;
            label_ids?: string[];
            order?: number;
            /** Format: uuid */
            parent_id?: string | null;
            priority?: number;
            /** Format: uuid */
            project_id?: string | null;
            recurrence?: string;
            text: string;
        };
        NewToken: {
            /**
             * @description As in the URL
             * @example eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.…
             */
            token: string;
            /** @constant */
            type: "auth";
        };
        NotificationCreated: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: components["schemas"]["TaskNotification"];
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "notification.created";
        };
        NotificationRead: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: components["schemas"]["TaskNotification"];
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "notification.read";
        };
        NotificationWithdrawn: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: {
                /** Format: uuid */
                id: string;
            };
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "notification.withdrawn";
        };
        NotReady: {
            /** @enum {string} */
            channel_layer: "ok" | "unreachable";
            /** @enum {string} */
            code: "not_ready";
            /** @enum {string} */
            database: "ok" | "unreachable" | "read_only" | "not_migrated";
            detail: string;
            /** @enum {string} */
            keys: "ok" | "never_fetched";
            /** @enum {string} */
            server: "ok" | "stopping";
            version: string;
        };
        NotUnderstood: {
            /** @description What could be sent, in one sentence, which may change */
            detail: string;
            /** @constant */
            type: "error";
        };
        Person: {
            /** @description Empty where the token has none */
            email: string;
            /** @description The `sub` of the token: the owner of the tasks */
            id: string;
            /** @description Empty where the token has none */
            name: string;
        };
        Ping: {
            /** @constant */
            type: "ping";
        };
        Pong: {
            /** @constant */
            type: "pong";
        };
        Preferences: {
            push: boolean;
            remind_at: string;
            remind_before: number | null;
            time_zone: string;
            version: number;
        };
        PreferencesPatch: {
            push?: boolean;
            remind_at?: string;
            remind_before?: number | null;
            time_zone?: string;
        };
        PreferencesUpdated: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: components["schemas"]["Preferences"];
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "preferences.updated";
        };
        Project: {
            archived: boolean;
            color: string;
            /** Format: date-time */
            created_at: string;
            /** Format: uuid */
            id: string;
            name: string;
            position: string;
            /** Format: date-time */
            updated_at: string;
            user_id: string;
            version: number;
        };
        ProjectCreated: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: components["schemas"]["Project"];
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "project.created";
        };
        ProjectDeleted: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: {
                /** Format: uuid */
                id: string;
            };
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "project.deleted";
        };
        ProjectList: components["schemas"]["Project"][];
        ProjectPatch: {
            archived?: boolean;
            color?: string;
            /** Format: uuid */
            id?: string | null;
            name?: string;
        };
        ProjectUpdated: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: components["schemas"]["Project"];
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "project.updated";
        };
        PushKey: {
            public_key: string;
        };
        PushKeys: {
            auth: string;
            p256dh: string;
        };
        PushSubscription: {
            endpoint: string;
            /** Format: uuid */
            id: string;
        };
        PushSubscriptionList: components["schemas"]["PushSubscription"][];
        Ready: {
            /** @enum {string} */
            channel_layer: "ok" | "unreachable";
            /** @enum {string} */
            database: "ok";
            /** @enum {string} */
            keys: "ok";
            /** @enum {string} */
            server: "ok";
            /** @enum {string} */
            status: "ok";
            version: string;
        };
        Resync: {
            /**
             * @description Names the history that the numbers belong to
             * @example 8c1f0d6b5a2e4937b0c1d2e3f4a59687
             */
            epoch: string;
            /**
             * @description The number of the newest event
             * @example 97
             */
            seq: number;
            /** @constant */
            type: "resync";
        };
        ServerMessage: components["schemas"]["LabelCreated"] | components["schemas"]["LabelDeleted"] | components["schemas"]["LabelUpdated"] | components["schemas"]["NotUnderstood"] | components["schemas"]["NotificationCreated"] | components["schemas"]["NotificationRead"] | components["schemas"]["NotificationWithdrawn"] | components["schemas"]["Pong"] | components["schemas"]["PreferencesUpdated"] | components["schemas"]["ProjectCreated"] | components["schemas"]["ProjectDeleted"] | components["schemas"]["ProjectUpdated"] | components["schemas"]["Resync"] | components["schemas"]["SocketReady"] | components["schemas"]["TaskCreated"] | components["schemas"]["TaskDeleted"] | components["schemas"]["TaskUpdated"] | components["schemas"]["TokenExpiring"] | components["schemas"]["TokenRenewed"];
        SocketReady: {
            /**
             * @description Names the history that the numbers belong to
             * @example 8c1f0d6b5a2e4937b0c1d2e3f4a59687
             */
            epoch: string;
            /**
             * Format: date-time
             * @description Until when the token is good
             * @example 2030-04-28T08:15:00Z
             */
            expires_at: string;
            /**
             * @description The number of the last event that the client has: its own `since`, else that of the newest
             * @example 41
             */
            seq: number;
            /** @constant */
            type: "ready";
        };
        Task: {
            completed: boolean;
            /** Format: date-time */
            completed_at: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            deadline: string | null;
            description: string;
            /** Format: date */
            due_on: string | null;
            /** Format: uuid */
            id: string;
            label_ids: string[];
            order: number;
            /** Format: uuid */
            parent_id: string | null;
            position: string;
            /** Format: uuid */
            previous_id: string | null;
            priority: number;
            /** Format: uuid */
            project_id: string | null;
            recurrence: string;
            text: string;
            /** Format: date-time */
            updated_at: string;
            user_id: string;
            version: number;
        };
        TaskCounts: {
            by_label: {
                [key: string]: number;
            };
            by_project: {
                [key: string]: number;
            };
            completed: number;
            no_date: number;
            open: number;
            overdue: number;
            today: number;
            upcoming: number;
        };
        TaskCreated: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: components["schemas"]["Task"];
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "task.created";
        };
        TaskDeleted: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: {
                /** Format: uuid */
                id: string;
            };
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "task.deleted";
        };
        TaskList: components["schemas"]["Task"][];
        TaskNotification: {
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            deadline: string | null;
            /** Format: date */
            due_on: string | null;
            /** Format: uuid */
            id: string;
            message: string;
            /** Format: date-time */
            read_at: string | null;
            /** Format: uuid */
            task_id: string;
            title: string;
            /** @enum {string} */
            type: "deadline_reminder" | "deadline_reached" | "task_overdue";
        };
        TaskNotificationList: components["schemas"]["TaskNotification"][];
        TaskPatch: {
            completed?: boolean;
            deadline?: string | null;
            description?: string;
            /** Format: date */
            due_on?: string | null;
            /** Format: uuid */
            id?: string | null;
            label_ids?: string[];
            order?: number;
            /** Format: uuid */
            parent_id?: string | null;
            priority?: number;
            /** Format: uuid */
            project_id?: string | null;
            recurrence?: string;
            text?: string;
        };
        TaskUpdated: {
            /**
             * Format: date-time
             * @example 2030-04-28T08:00:00.123456Z
             */
            at: string;
            data: components["schemas"]["Task"];
            /**
             * @description 1, 2, 3, … for each person, without gaps, in the order of the commits
             * @example 42
             */
            seq: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "task.updated";
        };
        TokenExpiring: {
            /**
             * Format: date-time
             * @description Until when the token is good
             * @example 2030-04-28T08:15:00Z
             */
            expires_at: string;
            /** @constant */
            type: "auth.expiring";
        };
        TokenRenewed: {
            /**
             * Format: date-time
             * @description Until when the token is good
             * @example 2030-04-28T08:15:00Z
             */
            expires_at: string;
            /** @constant */
            type: "auth.ok";
        };
        /** @description A deleted task as it was shown last, and when that was. */
        TrashedTask: {
            completed: boolean;
            /** Format: date-time */
            completed_at: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            deadline: string | null;
            /** Format: date-time */
            deleted_at: string;
            description: string;
            /** Format: date */
            due_on: string | null;
            /** Format: uuid */
            id: string;
            label_ids: string[];
            order: number;
            /** Format: uuid */
            parent_id: string | null;
            position: string;
            /** Format: uuid */
            previous_id: string | null;
            priority: number;
            /** Format: uuid */
            project_id: string | null;
            recurrence: string;
            text: string;
            /** Format: date-time */
            updated_at: string;
            user_id: string;
            version: number;
        };
        TrashedTaskList: components["schemas"]["TrashedTask"][];
        UnreadCount: {
            count: number;
        };
        UpdatedCount: {
            updated: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getCalendar: {
        parameters: {
            query?: {
                /** @description As VEVENTs, which all calendars show, or as VTODOs. */
                as?: "event" | "todo";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
    listEvents: {
        parameters: {
            query?: {
                /** @description The history that `since` belongs to; 410 where it is another. */
                epoch?: string;
                /** @description How many at the most; the rest is at the URL in `Link`. */
                limit?: number;
                /** @description The number of the last event the client has seen; 0 by default. */
                since?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
    listLabels: {
        parameters: {
            query?: {
                /** @description Where the last page ended: part of the URL in `Link`. */
                cursor?: string;
                /** @description How many at the most; the rest is at the URL in `Link`. */
                limit?: number;
                /** @description What they are sorted by; `-` before it is from the end. */
                ordering?: "position" | "-position" | "name" | "-name" | "created_at" | "-created_at";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
    listNotifications: {
        parameters: {
            query?: {
                /** @description Where the last page ended: part of the URL in `Link`. */
                cursor?: string;
                /** @description How many at the most; the rest is at the URL in `Link`. */
                limit?: number;
                /** @description `unread`, for those alone. */
                status?: "unread";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
    listProjects: {
        parameters: {
            query?: {
                /** @description Only those with this `archived`. */
                archived?: boolean;
                /** @description Where the last page ended: part of the URL in `Link`. */
                cursor?: string;
                /** @description How many at the most; the rest is at the URL in `Link`. */
                limit?: number;
                /** @description What they are sorted by; `-` before it is from the end. */
                ordering?: "position" | "-position" | "name" | "-name" | "created_at" | "-created_at";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
    listPushSubscriptions: {
        parameters: {
            query?: {
                /** @description Where the last page ended: part of the URL in `Link`. */
                cursor?: string;
                /** @description How many at the most; the rest is at the URL in `Link`. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
    listTasks: {
        parameters: {
            query?: {
                /** @description Only those with this `completed`. */
                completed?: boolean;
                /** @description Where the last page ended: part of the URL in `Link`. */
                cursor?: string;
                /** @description Only those with a later, or a higher, `due_at`. */
                deadline_after?: string;
                /** @description Only those with an earlier, or a lower, `due_at`. */
                deadline_before?: string;
                /** @description Open tasks of projects that are not archived, by the caller's time zone. */
                due?: "overdue" | "today" | "upcoming" | "none";
                /** @description With this label; repeated, with all of them. */
                label?: string[];
                /** @description How many at the most; the rest is at the URL in `Link`. */
                limit?: number;
                /** @description What they are sorted by; `-` before it is from the end. */
                ordering?: "created_at" | "-created_at" | "deadline" | "-deadline" | "order" | "-order" | "updated_at" | "-updated_at" | "position" | "-position" | "priority" | "-priority" | "completed_at" | "-completed_at";
                /** @description Subtasks of this task; `none`: all that are none. */
                parent?: string | "none";
                /** @description Repeated: any of them. */
                priority?: number[];
                /** @description Of this project; `none`: of no project. */
                project?: string | "none";
                /** @description Only those with each of these words in text or description, in any case. */
                search?: string;
                /** @description Only those with this, a later, or a higher, `updated_at`. */
                updated_since?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
    listTrash: {
        parameters: {
            query?: {
                /** @description Where the last page ended: part of the URL in `Link`. */
                cursor?: string;
                /** @description How many at the most; the rest is at the URL in `Link`. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
}
