// Members of browser interfaces and JavaScript's built-in objects that Safari 15.4, Chrome 97 or
// Firefox 98 lacks, according to version 8 of @mdn/browser-compat-data. The list covers the objects
// that a script of a page is likely to use.
export const newerApis = {
  window: `
    structuredClone scheduler Scheduler Navigation NavigateEvent CloseWatcher CommandEvent
    ToggleEvent CompressionStream DecompressionStream Sanitizer URLPattern ElementInternals
    CookieStore ViewTransition Highlight HighlightRegistry TaskController TaskSignal TrustedHTML
    TrustedTypePolicyFactory ClipboardItem CSSLayerBlockRule CSSContainerRule CustomStateSet
    TextDecoderStream TextEncoderStream Observable cancelIdleCallback cookieStore fetchLater
    getScreenDetails launchQueue navigation originAgentCluster queryLocalFonts requestIdleCallback
    requestResize sharedStorage showDirectoryPicker showOpenFilePicker showSaveFilePicker viewport
    AsyncDisposableStack DisposableStack Float16Array Temporal
  `,
  "Document.prototype": `
    activeViewTransition adoptedStyleSheets ariaNotify caretPositionFromPoint
    customElementRegistry featurePolicy fragmentDirective hasStorageAccess
    hasUnpartitionedCookieAccess moveBefore prerendering requestStorageAccess
    requestStorageAccessFor startViewTransition wasDiscarded
  `,
  Document: "parseHTMLUnsafe parseHTML",
  "Element.prototype": `
    activeViewTransition ariaActiveDescendantElement ariaAtomic ariaAutoComplete ariaBrailleLabel
    ariaBrailleRoleDescription ariaBusy ariaChecked ariaColCount ariaColIndex ariaColIndexText
    ariaColSpan ariaControlsElements ariaCurrent ariaDescribedByElements ariaDescription
    ariaDetailsElements ariaDisabled ariaErrorMessageElements ariaExpanded ariaFlowToElements
    ariaHasPopup ariaHidden ariaInvalid ariaKeyShortcuts ariaLabel ariaLabelledByElements
    ariaLevel ariaLive ariaModal ariaMultiLine ariaMultiSelectable ariaNotify ariaOrientation
    ariaPlaceholder ariaPosInSet ariaPressed ariaReadOnly ariaRelevant ariaRequired
    ariaRoleDescription ariaRowCount ariaRowIndex ariaRowIndexText ariaRowSpan ariaSelected
    ariaSetSize ariaSort ariaValueMax ariaValueMin ariaValueNow ariaValueText checkVisibility
    computedStyleMap currentCSSZoom customElementRegistry elementTiming getHTML moveBefore pseudo
    role setHTML setHTMLUnsafe startViewTransition
  `,
  "HTMLElement.prototype": `
    attachInternals attributeStyleMap autocapitalize autocorrect editContext focusGroup
    focusGroupStart hidePopover inert popover showPopover togglePopover translate
    virtualKeyboardPolicy writingSuggestions
  `,
  "HTMLDialogElement.prototype": "closedBy requestClose",
  "HTMLScriptElement.prototype": "blocking fetchPriority",
  HTMLScriptElement: "supports",
  "HTMLButtonElement.prototype": `
    command commandForElement interestForElement popoverTargetAction popoverTargetElement
  `,
  "HTMLFormElement.prototype": "rel relList",
  "DocumentFragment.prototype": "moveBefore",
  "ShadowRoot.prototype": `
    adoptedStyleSheets clonable customElementRegistry getHTML getSelection referenceTarget
    serializable setHTML setHTMLUnsafe slotAssignment
  `,
  "EventTarget.prototype": "when",
  "MessageEvent.prototype": "userActivation",
  AbortSignal: "any timeout",
  "AbortSignal.prototype": "reason throwIfAborted",
  URL: "canParse parse",
  "URLSearchParams.prototype": "size",
  "Request.prototype": `
    body bytes duplex isHistoryNavigation isReloadNavigation keepalive targetAddressSpace
    textStream
  `,
  "Response.prototype": "bytes textStream",
  Response: "json",
  "Headers.prototype": "getSetCookie",
  "Performance.prototype": "eventCounts interactionCount measureUserAgentSpecificMemory memory",
  "Navigator.prototype": `
    canShare clearAppBadge connection deviceMemory gpu scheduling setAppBadge share userActivation
    userAgentData vibrate virtualKeyboard wakeLock windowControlsOverlay
  `,
  "Location.prototype": "ancestorOrigins",
  "Blob.prototype": "bytes textStream",
  "Array.prototype": "findLast findLastIndex toReversed toSorted toSpliced with",
  Array: "fromAsync",
  "Date.prototype": "toTemporalInstant",
  Intl: "DurationFormat Segmenter supportedValuesOf",
  "Intl.Locale.prototype": `
    getCalendars getCollations getHourCycles getNumberingSystems getTextInfo getTimeZones
    getWeekInfo variants
  `,
  "Intl.NumberFormat.prototype": "formatRange formatRangeToParts",
  "Intl.PluralRules.prototype": "selectRange",
  Iterator: "concat from zip zipKeyed",
  "Iterator.prototype": `
    drop every filter find flatMap forEach includes join map reduce some take toArray
  `,
  JSON: "isRawJSON rawJSON",
  "Map.prototype": "getOrInsert getOrInsertComputed",
  Map: "groupBy",
  Math: "f16round sumPrecise",
  Object: "groupBy",
  Promise: "try withResolvers",
  RegExp: "escape",
  "Set.prototype": `
    difference intersection isDisjointFrom isSubsetOf isSupersetOf symmetricDifference union
  `,
  "String.prototype": "isWellFormed toWellFormed",
  "Int8Array.__proto__.prototype": "findLast findLastIndex toReversed toSorted with",
  "Uint8Array": "fromBase64 fromHex",
  "Uint8Array.prototype": "setFromBase64 setFromHex toBase64 toHex",
  "WeakMap.prototype": "getOrInsert getOrInsertComputed",
};
